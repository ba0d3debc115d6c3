"""The data keys of client-side encrypted objects, opened by KMS: one call an object, nothing kept or logged.

    keys = DataKeys(lambda region: session.client("kms", region=region), allowed=arns)
    key = keys.open(envelope, where=ref.url)

The envelope comes from whoever can write the object, so it does not choose the KMS key: Decrypt names one
that the operator allowed (KeyId), and KMS refuses what another key has wrapped. Without allowed keys KMS
decides by the access role's own rights, which is said once.

https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Sequence, Tuple

from collector.aws.client_side_envelope import Envelope
from collector.aws.errors import Call, translated
from collector.errors import CollectorError, Fatal, Poison

__all__ = ["DataKeys"]

log = logging.getLogger("collector.aws")

#: Where the clients of the V1 format note their key, in the encryption context.
_HINT = "kms_cmk_id"


class DataKeys:
    """Opens wrapped keys with the KMS keys `allowed` (ARNs), each in its own region; with none, in `region`.

    `role` is the ARN that the clients act as, for hints. May be called from any thread.
    """

    def __init__(
        self,
        client_for_region: Callable[[str], Any],
        *,
        allowed: Sequence[str] = (),
        region: str = "",
        role: str = "",
    ) -> None:
        self._client_for_region = client_for_region
        self._allowed = tuple(allowed)
        self._region = region
        self._role = role
        self._last = ""
        self._warned = False

    def open(self, envelope: Envelope, *, where: str) -> bytes:
        """The data key. With several keys allowed, each is tried in turn, the likeliest first.

        Poison "data_key_refused" (no key that may be used wrapped it in this context), "foreign_kms_key" (a
        key that is not allowed did); Fatal scope "kms": "kms_denied", "kms_key_unusable"; Retry "throttled".
        """
        if not self._allowed:
            self._warn_once()
            return self._decrypt(envelope, "", where=where)
        refusals: List[CollectorError] = []
        for key in sorted(self._allowed, key=lambda arn: self._unlikeliness(arn, envelope)):
            try:
                opened = self._decrypt(envelope, key, where=where)
            except (Poison, Fatal) as error:
                if error.code not in ("foreign_kms_key", "kms_denied", "kms_key_unusable"):
                    raise
                refusals.append(error)
                continue
            self._last = key
            return opened
        # A key that may not be used could have been the right one: then nobody may say that it is foreign.
        raise next((error for error in refusals if isinstance(error, Fatal)), refusals[0])

    def _unlikeliness(self, arn: str, envelope: Envelope) -> Tuple[bool, bool]:
        hint = envelope.context.get(_HINT, "").rpartition("/")[2]
        return arn.rpartition("/")[2] != hint, arn != self._last

    def _decrypt(self, envelope: Envelope, key: str, *, where: str) -> bytes:
        request: Dict[str, Any] = {"CiphertextBlob": envelope.wrapped_key}
        if key:
            request["KeyId"] = key
        if envelope.context:
            request["EncryptionContext"] = dict(envelope.context)
        call = Call("kms:Decrypt", where, key or "*", scope="kms", role=self._role)
        client = self._client_for_region(key.split(":")[3] if key else self._region)
        with translated(call):
            answer = client.decrypt(**request)
        if key and answer.get("KeyId") != key:
            what = f"KMS opened the object's key with {answer.get('KeyId')} instead of {key}"
            raise Poison(what, code="foreign_kms_key", where=where)
        return bytes(answer["Plaintext"])

    def _warn_once(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "Objects are encrypted by their writer and kms_key_arn is not set: any KMS key that the "
                "access role may use is taken. Set kms_key_arn to the provider's keys."
            )
