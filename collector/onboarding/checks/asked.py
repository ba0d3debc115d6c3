"""Whom the checks ask: small Protocols, which the host fills with adapters."""

from __future__ import annotations

from typing import Mapping, Optional, Protocol, Sequence, Tuple

from collector.errors import CollectorError
from collector.model import ObjectRef
from collector.ports import ObjectStore, Queue

__all__ = ["Account", "Asked", "Bucket", "Caller", "Hec", "QueueDoor"]


class Caller(Protocol):
    """Who AWS says we are, and by how many seconds our clock is ahead of AWS's, where it says so."""

    @property
    def arn(self) -> str: ...
    @property
    def ahead_seconds(self) -> Optional[float]: ...


class Account(Protocol):
    """One way to act: the base credentials, and the role assumed with them ("" for none)."""

    role: str

    def base(self) -> Caller: ...
    def assumed(self) -> Caller: ...


class QueueDoor(Protocol):
    """The queue as the input reads it. `arn` is "" where a name alone is known."""

    arn: str
    role: str

    def find(self) -> Queue:
        """The queue's own port; a name alone is looked up first."""

    def attributes(self) -> Mapping[str, str]: ...
    def dlq_attributes(self, arn: str) -> Mapping[str, str]:
        """Of another queue, asked for by whatever the role may."""


class Bucket(Protocol):
    """The input's buckets. `of_any_owner` asks without expected_bucket_owner."""

    objects: ObjectStore
    of_any_owner: ObjectStore
    role: str

    def region_of(self, bucket: str) -> str: ...
    def read_version(self, ref: ObjectRef, *, region: str) -> None: ...


class Hec(Protocol):
    """One endpoint of HEC."""

    url: str

    def health(self) -> str: ...
    def token(self) -> None: ...
    def acknowledges(self, *, must: bool) -> bool: ...
    def cookies(self) -> Tuple[Mapping[str, str], Mapping[str, str]]: ...
    def addresses(self) -> Sequence[str]: ...


class Asked(Protocol):
    """All that one input has; None where it has none. `queue_account` is who asks the queue, if another."""

    @property
    def account(self) -> Account: ...
    @property
    def queue_account(self) -> Optional[Account]: ...
    @property
    def queue_door(self) -> Optional[QueueDoor]: ...
    @property
    def bucket(self) -> Optional[Bucket]: ...
    @property
    def hec(self) -> Sequence[Hec]: ...
    @property
    def session_policy_is_too_long(self) -> bool: ...
    @property
    def checkpoint_dir(self) -> str: ...
    def read_checkpoints(self) -> bool:
        """Whether anything is remembered yet. Any CollectorError: what there is cannot be read."""

    def try_table(self) -> Mapping[str, CollectorError]:
        """What is refused of the checkpoints' table, by action ("PutItem"); nothing in it is changed."""

    def ask_digest_keys(self, region: str) -> None:
        """Ask for the keys that CloudTrail signs digests with; raises what stands in the way."""

    def is_running(self) -> bool:
        """Whether a collector of this input is known to run now, and so to hold messages."""

    def listen(self) -> str:
        """Listen at http_listen and let go, and say what came of it; raises what stands in the way."""

    def issuer(self, text: str) -> str:
        """Who signed the certificate of the first https URL in a text; "" if that cannot be learnt."""
