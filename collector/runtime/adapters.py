"""The adapters of one input, built from its settings: the door from configuration to the world.

Building makes no network call but one: a queue given by name alone has to be looked up.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote, urlsplit

from collector.aws.client_side import ClientSide
from collector.aws.kms import DataKeys
from collector.aws.policy import session_policies
from collector.aws.s3 import S3Store
from collector.aws.session import Access, AwsSession, Keys
from collector.aws.signed_get import SignedGet
from collector.aws.sns import SnsVerifier
from collector.aws.sns_certificates import https_fetch, no_fetch
from collector.aws.sqs import SqsQueue, resolve_queue
from collector.config.inputs import Input
from collector.config.secret import Held, Secret
from collector.config.settings import Settings
from collector.logs import mask
from collector.loopback import is_loopback
from collector.ports import CheckpointStore, Clock, Digests, ObjectStore, Queue, Sink
from collector.stores.owners import new_owner

if TYPE_CHECKING:
    from collector.aws.cloudtrail_keys import PublicKeys

__all__ = ["Adapters", "SystemClock", "access_of", "checkpoint_path"]

log = logging.getLogger("collector")

#: What it is, and how to read it again.
Token = Tuple[Callable[[], str], Callable[[], None]]

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


class SystemClock:
    """ports.Clock, as it is."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@lru_cache(maxsize=1)
def this_owner() -> str:
    """The name by which this process owns rows: one for all its inputs."""
    return new_owner(random.Random())


class Adapters:
    """Queue, object store, sinks and checkpoint store of one input.

    With `read_only` nothing may be deleted by what is built: the checkpoint store is one to read, and the
    assumed session is narrowed to reading. `queue` False leaves the queue alone.
    """

    def __init__(
        self, configured: Input, *, stdout: BinaryIO, read_only: bool = False, queue: bool = True
    ) -> None:
        settings = configured.settings
        self.clock: Clock = SystemClock()
        self._input = configured
        self._token = _held(configured, "hec_token")
        self._keys = [_held(configured, name) for name in _KEYS]
        self._session = self._session_of(settings.role_arn, read_only=read_only)
        self._sessions = [self._session]
        self.assumes_role = bool(self._session.role)
        self.queue: Optional[Queue] = self._queue(configured, read_only=read_only) if queue else None
        self.objects: Optional[ObjectStore] = self._objects(settings)
        self._stdout = stdout
        self._read_only = read_only

    @cached_property
    def sinks(self) -> Sequence[Sink]:
        """The outputs, built when first asked for."""
        return _sinks(self._input.settings, self._stdout, self.clock, (self._token, self._renew_token))

    @cached_property
    def store(self) -> CheckpointStore:
        """The checkpoint store, opened when first asked for: a look at a set-up writes none."""
        return _store(self._input, self.clock, self._session, read_only=self._read_only)

    @cached_property
    def digests(self) -> Optional[Digests]:
        """What verifies CloudTrail's digests, if this input does; it looks up hashes in the store."""
        if self.objects is None or not self._input.verifies_digests:
            return None
        from collector.aws.cloudtrail_digests import DigestVerifier
        from collector.decode.content import content

        return DigestVerifier(
            self.objects, self.store.hashes, self.public_keys, content=content,
            max_event_bytes=self._input.settings.max_event_bytes,
        )

    @cached_property
    def public_keys(self) -> PublicKeys:
        """The keys that CloudTrail signs digests with."""
        from collector.aws.cloudtrail_keys import PublicKeys

        return PublicKeys(self._cloudtrail_clients, clock=self.clock)

    def _cloudtrail_clients(self, region: str) -> Sequence[Tuple[Any, str]]:
        """Keys are a region's, not an account's: where the role may not ask, the customer's own keys may."""
        role = self._session.role
        clients = [(self._session.client("cloudtrail", region=region), role)]
        if role:
            clients.append((self._session.client("cloudtrail", region=region, assumed=False), ""))
        return clients

    @cached_property
    def verify(self) -> Callable[[Mapping[str, Any]], None]:
        """Whether an SNS envelope may be opened, as `sns_signature` says; may ask SNS for a certificate."""
        return self.sns.check

    @cached_property
    def sns(self) -> SnsVerifier:
        """What checks SNS envelopes."""
        folder = checkpoint_path(self._input).parent / "sns-certificates"
        return _sns_verifier(self._input, folder, self.clock)

    def identity(self) -> str:
        """The ARN that AWS knows us by, the role assumed."""
        return self._session.identity()

    @property
    def is_narrowed(self) -> bool:
        """Whether AWS itself holds every session of this input to its session policy."""
        return all(session.access.session_policies for session in self._sessions)

    def aws_calls(self) -> Mapping[str, int]:
        """Requests sent to AWS so far, by operation ("s3:GetObject")."""
        return dict(sum((Counter(session.calls.counts()) for session in self._sessions), Counter()))

    def refresh(self) -> None:
        """Renew the assumed session ahead of its expiry."""
        self._session.refresh()

    def renew(self) -> None:
        """Read again the files of secrets: of the token, and of the keys that sign for us."""
        self._renew_token()
        before = [key() for key in self._keys]
        if before != list(self._read_keys()):
            log.info("The access keys have changed. input=%s", self._input.name)
            for session in self._sessions:
                session.forget_keys()

    def _renew_token(self) -> None:
        if self._token.renew():
            mask([self._token()])
            log.info("The HEC token has changed. input=%s", self._input.name)

    def _read_keys(self) -> Keys:
        """The keys as their files have them now: asked for at the start, and when AWS refused what it got."""
        for key in self._keys:
            key.renew()
        key_id, secret, token = (key() for key in self._keys)
        mask([secret, token])
        return key_id, secret, token

    def _session_of(self, role_arn: str, *, read_only: bool) -> AwsSession:
        return AwsSession(access_of(self._input, role_arn, read_only=read_only), keys=self._read_keys)

    def close(self) -> None:
        """Close what was opened."""
        for sink in self.__dict__.get("sinks", ()):
            sink.close()
        store: Optional[CheckpointStore] = self.__dict__.get("store")
        if store is not None:
            store.leave()
            store.close()

    def _queue(self, configured: Input, *, read_only: bool) -> Optional[Queue]:
        address, settings = configured.queue, configured.settings
        if address is None:
            return None
        session = self._session
        if settings.queue_role_arn != settings.role_arn:
            session = self._session_of(settings.queue_role_arn, read_only=read_only)
            self._sessions.append(session)
        client = session.client("sqs", region=address.region)
        url = address.url or resolve_queue(client, address.arn or address.name, role=session.role)
        return SqsQueue(
            client, url, visibility_timeout_seconds=settings.visibility_timeout_seconds, role=session.role,
            lean=session.lean,
        )

    def _objects(self, settings: Settings) -> Optional[ObjectStore]:
        if not settings.bucket:
            return None

        signed_get = SignedGet(self._session.lean)

        def client(region: str) -> Any:
            client = self._session.client("s3", region=region)
            signed_get.watch(client)
            return client

        owner = settings.expected_bucket_owner
        return S3Store(
            client, settings.bucket, region=settings.bucket_region or settings.region,
            expected_bucket_owner="" if owner == "none" else owner, role=self._session.role,
            client_side=self._client_side(settings),
            signed_get=signed_get,
        )

    def _client_side(self, settings: Settings) -> ClientSide:
        keys = DataKeys(
            lambda region: self._session.client("kms", region=region), allowed=settings.kms_key_arn,
            region=settings.bucket_region or settings.region, role=self._session.role,
        )
        return ClientSide(keys, allow_unauthenticated_cbc=settings.allow_unauthenticated_cbc)


def access_of(configured: Input, role_arn: str, *, read_only: bool = False) -> Access:
    """How an input reaches AWS as this role, or as none."""
    settings = configured.settings
    endpoints = {"": settings.endpoint_url}
    endpoints.update({name: settings.endpoint_for(name) for name in ("s3", "sqs", "sts", "kms", "dynamodb")})
    if configured.queue is not None and configured.queue.endpoint_url and not settings.sqs_endpoint_url:
        endpoints["sqs"] = settings.endpoint_url or configured.queue.endpoint_url
    policies: Tuple[str, ...] = ()
    if settings.session_policy and role_arn and role_arn != "none":
        policies = session_policies(
            queue_arn=configured.queue.arn if configured.queue else "", buckets=settings.bucket,
            prefix=settings.prefix, kms_key_arns=settings.kms_key_arn, read_only=read_only,
            verifies_digests=configured.verifies_digests,
        )
    return Access(
        region=settings.region,
        access_key_id=settings.aws_access_key_id,
        secret_access_key=settings.aws_secret_access_key.reveal(),
        session_token=settings.aws_session_token.reveal(),
        profile=settings.aws_profile,
        role_arn=role_arn,
        external_id=settings.external_id,
        role_session_name=settings.role_session_name,
        role_duration_seconds=settings.role_duration_seconds,
        session_policies=policies,
        endpoint_urls=endpoints,
        proxy_url=settings.proxy_url,
        ca_file=settings.aws_ca_file,
        use_fips_endpoint=settings.use_fips_endpoint,
        max_connections=settings.workers + 10,
    )


def _sns_verifier(configured: Input, folder: Path, clock: Clock) -> SnsVerifier:
    settings = configured.settings
    own = configured.queue.endpoint_url if configured.queue else ""
    local = is_loopback(urlsplit(settings.endpoint_for("sqs") or own).hostname or "")
    fetch = no_fetch if local else https_fetch(proxy_url=settings.proxy_url, ca_file=settings.aws_ca_file)
    return SnsVerifier(
        settings.sns_signature, fetch=fetch, clock=clock, folder=folder, topics=settings.sns_topic_arn
    )


def _held(configured: Input, name: str) -> Held:
    """A setting that may change in its file while we run."""
    value = getattr(configured.settings, name)
    text = value.reveal() if isinstance(value, Secret) else value
    return Held(text, configured.references.get(name, ""))


def _sinks(settings: Settings, stdout: BinaryIO, clock: Clock, token: Token) -> List[Sink]:
    return [_sink(name, settings, stdout, clock, token) for name in settings.output]


def _sink(name: str, settings: Settings, stdout: BinaryIO, clock: Clock, token: Token) -> Sink:
    if name == "hec":
        from collector.sinks.hec import HecSink

        return HecSink(
            settings.hec_url, token[0], clock=clock, renew_token=token[1], ack=settings.hec_ack,
            gzip=settings.hec_gzip, event_identity=settings.event_identity, ca_file=settings.hec_ca_file,
            tls_verify=settings.hec_tls_verify, proxy_url=settings.proxy_url,
        )
    if name == "splunkd":
        from collector.sinks.splunkd import SplunkdSink

        return SplunkdSink(stdout, clock=clock)
    from collector.sinks.stdout import StdoutSink

    return StdoutSink(
        stdout, clock=clock, format=settings.stdout_format, event_identity=settings.event_identity
    )


def checkpoint_path(configured: Input) -> Path:
    """The input's own checkpoint file. Its name is the input's, made fit for a file system."""
    folder = Path(os.path.expanduser(configured.settings.checkpoint_dir))
    return folder / f"{quote(configured.name, safe='')}.sqlite3"


def _store(
    configured: Input, clock: Clock, session: AwsSession, *, read_only: bool
) -> CheckpointStore:
    settings = configured.settings
    if settings.checkpoint_store == "dynamodb":
        from collector.stores.dynamodb import DynamoStore

        client = session.client("dynamodb", region=settings.checkpoint_region, assumed=False)
        return DynamoStore(
            client, settings.checkpoint_table, input_name=configured.name, owner=this_owner(), clock=clock,
            retention_seconds=settings.retention_days * 86_400, read_only=read_only,
        )
    from collector.stores.sqlite import SqliteStore

    return SqliteStore(
        checkpoint_path(configured), input_name=configured.name, owner=this_owner(), clock=clock,
        read_only=read_only,
    )
