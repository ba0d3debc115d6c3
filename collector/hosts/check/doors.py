"""Whom `audit-s3 check` asks: the adapters of one input, as run would build them, and a few questions more.

Nothing is asked before a method is called. A queue's DLQ, and a bucket whoever owns it, are asked for without
the narrowing session policy, which knows nothing of them.
"""

from __future__ import annotations

import re
import sys
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any, Mapping, Optional, Sequence

from collector.aws.policy import takes
from collector.aws.questions import BucketQuestions, Caller, caller, issuer_of, queue_attributes
from collector.aws.s3 import S3Store
from collector.aws.session import AwsSession
from collector.aws.sqs import resolve_queue
from collector.config.inputs import Input
from collector.errors import CollectorError
from collector.hosts.stores import opened
from collector.model import ObjectRef
from collector.onboarding.checks.asked import Account, Bucket, Hec, QueueDoor
from collector.ports import ObjectStore, Queue
from collector.runtime.adapters import Adapters, checkpoint_path
from collector.sinks.hec_questions import HecQuestions
from collector.sinks.wire import Wire

__all__ = ["Doors"]

_REPLY_SECONDS = 15
_URL = re.compile(r"https://[^\s/\"']+")


class Doors(Adapters):
    """`onboarding.checks.Asked`. What is built may delete, by its rights; nobody here asks it to."""

    def __init__(self, found: Input) -> None:
        super().__init__(found, stdout=sys.stdout.buffer)
        self.account: Account = _Account(self._session)
        self.checkpoint_dir = str(checkpoint_path(found).parent)
        self.session_policy_is_too_long = not all(map(takes, self._session.access.session_policies[:1]))

    def _session_of(self, role_arn: str, *, read_only: bool) -> AwsSession:
        """A person waits: a network that swallows what is sent is told of within half a minute."""
        session = super()._session_of(role_arn, read_only=read_only)
        session.access = replace(session.access, reply_timeout_seconds=_REPLY_SECONDS, attempts=2)
        return session

    def _queue(self, configured: Input, *, read_only: bool) -> Optional[Queue]:
        """None while the adapters are built: a name may have to be looked up, which is a question."""
        return None

    def find_queue(self) -> Queue:
        queue = super()._queue(self._input, read_only=False)
        assert queue is not None
        return queue

    @cached_property
    def queue_session(self) -> AwsSession:
        settings = self._input.settings
        if settings.queue_role_arn == settings.role_arn:
            return self._session
        return self._session_of(settings.queue_role_arn, read_only=False)

    @property
    def queue_account(self) -> Optional[Account]:
        """Who asks the queue, where that is another role."""
        session = self.queue_session
        return _Account(session) if session is not self._session and session.role else None

    @property
    def queue_door(self) -> Optional[QueueDoor]:
        return None if self._input.queue is None else _QueueDoor(self, self._input)

    @property
    def bucket(self) -> Optional[Bucket]:
        return None if self.objects is None else _Bucket(self, self._input, self.objects)

    @cached_property
    def hec(self) -> Sequence[Hec]:
        settings = self._input.settings
        if "hec" not in settings.output:
            return ()
        wire = Wire(
            ca_file=settings.hec_ca_file, tls_verify=settings.hec_tls_verify, proxy_url=settings.proxy_url,
            reply_timeout_seconds=20.0,
        )
        return [HecQuestions(url, settings.hec_token.reveal, wire=wire) for url in settings.hec_url]

    def read_checkpoints(self) -> bool:
        with opened(self._input) as store:
            if store is None:
                return False
            return bool(store.counts())

    def try_table(self) -> Mapping[str, CollectorError]:
        from collector.stores.dynamodb import DynamoStore

        with closing(self.store) as store:
            return store.refusals() if isinstance(store, DynamoStore) else {}

    def ask_digest_keys(self, region: str) -> None:
        self.public_keys.check(region)

    def is_running(self) -> bool:
        """By the checkpoint file of this user; what others keep in a table of their own is not asked."""
        if self._input.settings.checkpoint_store != "sqlite":
            return False
        try:
            with opened(self._input) as store:
                return store is not None and bool(store.others())
        except CollectorError:
            return False

    def listen(self) -> str:
        from collector.hosts.web.beside import running
        from collector.hosts.web.server import try_to_listen

        address = self._input.settings.http_listen
        if running(address) is not None:
            return "a collector runs, and listens there"
        try_to_listen(address)
        return "it is free"

    def issuer(self, text: str) -> str:
        """Who signed the certificate of the first https URL in a text."""
        url = _URL.search(text)
        return issuer_of(url.group(), proxy_url=self._input.settings.proxy_url) if url else ""

    def session_without_policy(self, session: AwsSession) -> AwsSession:
        access = session.access
        return AwsSession(replace(access, session_policies=())) if access.session_policies else session


class _Account:
    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self.role = session.role

    def base(self) -> Caller:
        return caller(self._session.client("sts", assumed=False))

    def assumed(self) -> Caller:
        return caller(self._session.client("sts"), role=self.role)


class _QueueDoor:
    def __init__(self, doors: Doors, found: Input) -> None:
        assert found.queue is not None
        self._doors, self._address = doors, found.queue
        self._session = doors.queue_session
        self._url = self._address.url
        self.arn = self._address.arn
        self.role = self._session.role

    def find(self) -> Queue:
        queue = self._doors.find_queue()
        self._url = queue.name
        return queue

    def attributes(self) -> Mapping[str, str]:
        return queue_attributes(self._client(self._session), self._url, arn=self.arn, role=self.role)

    def dlq_attributes(self, arn: str) -> Mapping[str, str]:
        client = self._client(self._doors.session_without_policy(self._session))
        return queue_attributes(client, resolve_queue(client, arn, role=self.role), arn=arn, role=self.role)

    def _client(self, session: AwsSession) -> Any:
        return session.client("sqs", region=self._address.region)


class _Bucket:
    def __init__(self, doors: Doors, found: Input, objects: ObjectStore) -> None:
        settings = found.settings
        owner = settings.expected_bucket_owner
        session = doors._session
        region = settings.bucket_region or settings.region

        def client(region: str) -> Any:
            return session.client("s3", region=region)

        self.objects: ObjectStore = objects
        self.of_any_owner: ObjectStore = objects
        if owner not in ("", "none"):
            self.of_any_owner = S3Store(client, settings.bucket, region=region, role=session.role)
        self.role = session.role
        self._questions = BucketQuestions(
            client, region=region, role=session.role, owner="" if owner == "none" else owner
        )

    def region_of(self, bucket: str) -> str:
        return self._questions.region_of(bucket)

    def read_version(self, ref: ObjectRef, *, region: str) -> None:
        self._questions.read_version(ref, region=region)
