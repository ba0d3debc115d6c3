"""What was found out about one digest, and the one event that says so.

    {"result":"invalid","reasons":["log_missing"],"digestFile":"s3://...","chain":"linked",...,"digest":{...}}

The verdict comes first, so that it survives whatever truncates long events; CloudTrail's own document comes
last, byte for byte, so that its sha256 and its signature can be checked again from the event alone.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping

from collector.aws.cloudtrail_document import Digest, Listed
from collector.model import Block

__all__ = ["LOG_STATES", "Verdict"]

#: What a log file that a digest names may turn out to be.
LOG_STATES = ("valid", "invalid", "missing", "unchecked")
#: Names of one state that an event lists; the counts beside them are always whole.
MOST_NAMED = 1000

#: What the reasons make of the result. Any other reason is why no signature could be checked.
_INVALID = frozenset(
    "moved signature_missing signature_wrong key_unknown backfill_time_missing previous_changed log_invalid "
    "log_missing".split()
)
_GAP = frozenset("previous_missing previous_unchecked log_unchecked".split())


class Verdict:
    """Collects findings. `signature` is "valid", "invalid" or "unchecked".

    `chain` says how this digest hangs on its predecessor: "linked", "start" (it names none), "missing",
    "changed" or "unchecked".
    """

    def __init__(self, digest: Digest, *, region: str, is_backfill: bool) -> None:
        self.signature = "unchecked"
        self.chain = "unchecked"
        self.reasons: List[str] = []
        self.logs: Mapping[str, List[str]] = {state: [] for state in LOG_STATES}
        self._digest = digest
        self._region = region
        self._is_backfill = is_backfill

    def because(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)

    def found(self, listed: Listed, state: str) -> None:
        """A log file that the digest names is in this state."""
        self.logs[state].append(listed.url)
        if state != "valid":
            self.because(f"log_{state}")

    @property
    def result(self) -> str:
        """The worst of the reasons: "invalid", then "gap", then "unsigned"; "valid" without any."""
        if _INVALID.intersection(self.reasons):
            return "invalid"
        if _GAP.intersection(self.reasons):
            return "gap"
        return "unsigned" if self.reasons else "valid"

    def block(self, *, max_event_bytes: int) -> Block:
        """The event, at the time of the digest's end; its note is the result.

        A document that would make it longer than `max_event_bytes` is left out: `digest` is then null.
        """
        head = json.dumps(self._fields(), separators=(",", ":"))[:-1].encode()
        document = self._digest.document.strip()
        if len(head) + len(document) + 11 > max_event_bytes:
            document = b"null"
        body = head + b',"digest":' + document + b"}"
        return Block(0, [body], [str(self._digest.ended)], True, self.result)

    def _fields(self) -> Dict[str, Any]:
        digest = self._digest
        fields: Dict[str, Any] = {
            "result": self.result,
            "reasons": self.reasons,
            "digestFile": f"s3://{digest.bucket}/{digest.key}",
            "awsAccountId": digest.account,
            "awsRegion": self._region,
            "digestStartTime": digest.start_text,
            "digestEndTime": digest.end_text,
            "backfill": self._is_backfill,
            "signature": self.signature,
            "digestPublicKeyFingerprint": digest.fingerprint,
            "digestSha256": digest.sha256,
            "chain": self.chain,
            "previousDigestFile": digest.previous.url if digest.previous else None,
            "logFilesListed": len(digest.logs),
        }
        for state in LOG_STATES:
            fields[f"logFiles{state.title()}"] = len(self.logs[state])
        for state in LOG_STATES[1:]:
            fields[f"{state}LogFiles"] = self.logs[state][:MOST_NAMED]
        return fields
