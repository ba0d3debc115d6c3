"""Whether SNS really sent what says so, and from a topic that we know: the signature of an SNS envelope.

    verifier = SnsVerifier("enforce", fetch=https_fetch(), clock=clock, topics=["arn:aws:sns:..."])
    verifier.check(envelope)

The signed text is made of the envelope's own fields, the key is in a certificate that only SNS can have
put where it lies. A good signature says that *some* topic of SNS sent this; that it was the provider's,
the list of topics says, and the queue's policy. Messages without an envelope (raw delivery, S3 without
SNS) have no signature.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import binascii
import logging
import math
import threading
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from collector.aws.errors import INSTALL_CRYPTOGRAPHY
from collector.aws.sns_certificates import Certificate, Certificates, Fetch, trusted_url
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.ports import Clock

__all__ = ["SnsVerifier", "string_to_sign"]

log = logging.getLogger("collector.aws")

#: A topic that is warned of is left out of the log for this long.
WARN_EVERY_SECONDS = 3600.0
#: Topics named by forged messages must not fill memory or log: beyond these they share one line.
MOST_TOPICS = 100

_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
#: What is signed, in this order; Subject only where there is one.
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_HASHES = {"1": "SHA1", "2": "SHA256"}


class SnsVerifier:
    """Checks envelopes as `sns_signature` says. Thread safe.

    "off": nothing is looked at. "warn": what is wrong is logged, once an hour for a topic, and `check`
    returns. "enforce": `check` raises. `folder` holds certificates that need not be fetched. With `topics`
    (ARNs) any other is a stranger's, however well it is signed.
    """

    def __init__(
        self,
        mode: str,
        *,
        fetch: Fetch,
        clock: Clock,
        folder: Optional[Path] = None,
        topics: Sequence[str] = (),
    ) -> None:
        """Fatal "sns_needs_cryptography" (scope config) if "enforce" cannot be done here."""
        self._mode = mode
        self._topics = frozenset(topics)
        self._clock = clock
        self._certificates = Certificates(fetch, clock=clock, folder=folder)
        #: By topic and code: when it was last said (monotonic), and how often it was not said since.
        self._warned: Dict[Tuple[str, str], Tuple[float, int]] = {}
        self._lock = threading.Lock()
        if mode == "enforce":
            _require_cryptography()

    def check(self, envelope: Mapping[str, Any]) -> None:
        """Return if SNS signed this envelope, or if the mode only warns.

        Poison "foreign_topic", "sns_forged", "sns_cert_url", "sns_certificate_missing",
        "sns_certificate_invalid". Retry
        "sns_certificate_unreachable": not known yet; its `after_seconds` says when it pays to ask again.
        Makes one HTTPS request if the certificate is not known, and at most one a minute while that fails.
        """
        if self._mode == "off":
            return
        try:
            self._verify(envelope)
        except CollectorError as error:
            if self._mode == "enforce":
                raise
            self._warn(error, topic=_topic_of(envelope))

    def doubt(self, envelope: Mapping[str, Any]) -> Optional[CollectorError]:
        """What speaks against this envelope, whatever the mode; None if SNS signed it."""
        try:
            self._verify(envelope)
        except CollectorError as error:
            return error
        return None

    def _verify(self, envelope: Mapping[str, Any]) -> None:
        topic = _topic_of(envelope)
        if self._topics and topic not in self._topics:
            raise _foreign(topic)
        text, signature = string_to_sign(envelope), _signature_of(envelope)
        url = trusted_url(_cert_url_of(envelope), topic_arn=topic)
        _require_cryptography()
        certificate = self._certificates.get(url)
        if not _is_signed(text, signature, certificate, version=str(envelope["SignatureVersion"])):
            raise _forged("the signature is not of this text", topic)

    def _warn(self, error: CollectorError, *, topic: str) -> None:
        if error.code == "sns_needs_cryptography":
            topic = ""  # it is the same for all
        now = self._clock.monotonic()
        with self._lock:
            if len(self._warned) >= MOST_TOPICS and (topic, error.code) not in self._warned:
                topic = "several topics"
            said, unsaid = self._warned.get((topic, error.code), (-math.inf, 0))
            due = now - said >= WARN_EVERY_SECONDS
            self._warned[topic, error.code] = (now, 0) if due else (said, unsaid + 1)
        if due:
            log.warning(
                "An SNS message could not be verified and is read all the same (sns_signature = warn): "
                "%s. topic=%s more_since_last_warning=%d", error, topic or "any", unsaid,
            )


def string_to_sign(envelope: Mapping[str, Any]) -> bytes:
    """The signed text: each field's name and value, a line each, the values as they are after JSON.

    Poison "sns_forged" if it is not an envelope that SNS sends.
    """
    names = _SIGNED.get(str(envelope.get("Type")))
    if names is None:
        raise _forged(f"SNS sends no {str(envelope.get('Type'))[:60]!r}", _topic_of(envelope))
    lines = []
    for name in names:
        value = envelope.get(name)
        if name == "Subject" and value is None:
            continue
        if not isinstance(value, str):
            raise _forged(f"the envelope has no {name}", _topic_of(envelope))
        lines.append(f"{name}\n{value}\n")
    return "".join(lines).encode("utf-8", "surrogatepass")


def _signature_of(envelope: Mapping[str, Any]) -> bytes:
    version = str(envelope.get("SignatureVersion"))
    if version not in _HASHES:
        raise _forged(f"SNS signs in version 1 or 2, not {version[:20]!r}", _topic_of(envelope))
    try:
        return base64.b64decode(envelope.get("Signature") or b"", validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise _forged("the signature is not base64", _topic_of(envelope)) from error


def _is_signed(text: bytes, signature: bytes, certificate: Certificate, *, version: str) -> bool:
    """RSA, PKCS #1 v1.5."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    try:
        certificate.key.verify(signature, text, PKCS1v15(), getattr(hashes, _HASHES[version])())
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as error:
        raise Retry(
            f"{_HASHES[version]} is not allowed on this host", code="sns_hash_unsupported",
            hint="The provider can set the topic's SignatureVersion to 2 (SHA256)", after_seconds=60.0,
        ) from error
    return True


def _require_cryptography() -> None:
    try:
        from cryptography import x509  # noqa: F401
    except ImportError as error:
        raise Fatal(
            f"SNS signatures cannot be checked without the package cryptography: {error}",
            code="sns_needs_cryptography", where="sns_signature",
            hint=f"You: {INSTALL_CRYPTOGRAPHY}. Or set sns_signature to off (or to warn, which then only "
            "says so)",
        ) from error


def _topic_of(envelope: Mapping[str, Any]) -> str:
    return str(envelope.get("TopicArn", ""))[:300]


def _cert_url_of(envelope: Mapping[str, Any]) -> object:
    """Lambda spells it differently."""
    return envelope.get("SigningCertURL", envelope.get("SigningCertUrl"))


def _foreign(topic: str) -> Poison:
    return Poison(
        f"the topic {topic!r} is none of this input's", code="foreign_topic", where=topic,
        hint="Security: who may send to the queue? If the topic is your provider's, add it to sns_topic_arn",
    )


def _forged(what: str, topic: str) -> Poison:
    return Poison(
        f"not a message of SNS: {what}", code="sns_forged", where=topic,
        hint="Who may send to the queue? Its policy should allow only the provider's topic (aws:SourceArn)",
    )
