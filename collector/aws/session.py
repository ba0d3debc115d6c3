"""Who we are to AWS: the customer's keys, the role they assume, and clients that stay signed.

    session = AwsSession(Access(region="eu-west-1", role_arn=..., external_id=...))
    sqs = session.client("sqs")

The base credentials are the configured keys or profile, else boto3's own chain (environment, container,
instance, web identity). With a role they sign sts:AssumeRole alone, and the role's credentials sign the
rest, renewed by botocore a quarter of an hour before they expire. A call whose credentials AWS calls expired
or unknown is made once more with what is found by then, so a rotated key or profile needs no restart.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Callable, Dict, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from collector.aws.calls import Calls
from collector.aws.errors import Call, error_code, translated
from collector.aws.lean import Lean
from collector.aws.policy import takes
from collector.loopback import is_loopback

__all__ = ["Access", "AwsSession", "Keys"]

log = logging.getLogger("collector.aws")

#: AWS's words for "these credentials are no longer, or not yet, known here".
_STALE = frozenset(
    "ExpiredToken ExpiredTokenException InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException "
    "InvalidToken TokenRefreshRequired SignatureDoesNotMatch".split()
)
#: Access key id, secret access key, session token; "" for none.
Keys = Tuple[str, str, str]

_TOO_LARGE = frozenset({"PackedPolicyTooLarge", "PackedPolicyTooLargeException"})


@dataclass(frozen=True)
class Access:
    """What the settings say about credentials and the way to AWS. Empty means: boto3's default.

    `role_arn` "" or "none" means no role. `endpoint_urls` is by service ("s3", "sqs", "sts", "kms"),
    "" for all others. `session_policies` are JSON texts that narrow the role further, the narrowest first:
    the first that STS takes is sent. By default a call is made three times, and each waits as long as three
    long polls of 20 s, which is what rule 5 calls a stalled read as well.
    """

    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    profile: str = ""
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    role_session_name: str = "audit-s3"
    role_duration_seconds: int = 3600
    session_policies: Tuple[str, ...] = ()
    endpoint_urls: Mapping[str, str] = field(default_factory=dict)
    proxy_url: str = field(default="", repr=False)
    ca_file: str = ""
    use_fips_endpoint: bool = False
    max_connections: int = 10
    user_agent: str = "audit-s3"
    reply_timeout_seconds: int = 60
    attempts: int = 3

    @property
    def role(self) -> str:
        return "" if self.role_arn.lower() == "none" else self.role_arn

    def endpoint_url(self, service: str) -> str:
        return self.endpoint_urls.get(service) or self.endpoint_urls.get("", "")


class AwsSession:
    """Builds each client once. Every method may be called from any thread.

    `keys` says what the base keys are now, where they may change while we run; else they are `access`'s own.
    """

    def __init__(self, access: Access, *, keys: Optional[Callable[[], Keys]] = None) -> None:
        self.access = access
        self._keys = keys or (lambda: (access.access_key_id, access.secret_access_key, access.session_token))
        self._lock = threading.RLock()
        self._clients: Dict[Tuple[str, str, bool], Any] = {}
        self._credentials: Dict[bool, Any] = {}
        self._sessions: Dict[bool, Any] = {}
        self._policies = list(access.session_policies)
        #: What this session has asked of AWS.
        self.calls = Calls()

    @property
    def role(self) -> str:
        """The access role's ARN, "" without one: for hints."""
        return self.access.role

    def client(self, service: str, *, region: str = "", assumed: bool = True) -> Any:
        """A boto3 client, thread safe. `assumed=False` signs with the base credentials, not the role's.

        Building it makes no call; the first call that needs the role assumes it. Fatal scope "config"
        for a profile, region or endpoint that cannot be.
        """
        key = (service, region or self.access.region, assumed and bool(self.access.role))
        with self._lock:
            if key not in self._clients:
                with translated(Call(f"{service}:*", where=key[1], resource="*", scope="config")):
                    self._clients[key] = self._build(service, region=key[1], assumed=key[2])
            return self._clients[key]

    def refresh(self) -> None:
        """Assume the role anew: called ahead of expiry, so that no call has to wait for STS.

        Without a role there is nothing to do: boto3's chain renews what it found by itself.
        """
        role = self.access.role
        if not role:
            return
        credentials = self._credentials_for(assumed=True)
        credentials.stale = True
        with translated(Call("sts:AssumeRole", where=role, resource=role, scope="role")):
            credentials.get_frozen_credentials()

    def forget_keys(self) -> None:
        """The base keys have changed: they are read anew before the next call that they sign."""
        self._credentials_for(assumed=False).stale = True

    def identity(self) -> str:
        """The ARN that AWS knows us by (sts:GetCallerIdentity, which needs no permission)."""
        call = Call(
            "sts:GetCallerIdentity", where=self.role or self.access.endpoint_url("sts"),
            resource=self.role or "*", scope="role", role=self.role,
        )
        client = self.client("sts")
        with translated(call):
            return str(client.get_caller_identity()["Arn"])

    @cached_property
    def lean(self) -> Lean:
        """Requests signed by whom `client` acts as."""
        credentials = self._credentials_for(assumed=bool(self.access.role))
        return Lean(
            credentials.get_frozen_credentials, ca_file=self._ca_file, is_proxied=self._is_proxied,
            user_agent=self.access.user_agent, calls=self.calls,
        )

    def _ca_file(self) -> str:
        from botocore.httpsession import where

        return self.access.ca_file or self._core_session().get_config_variable("ca_bundle") or str(where())

    def _is_proxied(self, url: str) -> bool:
        from botocore.utils import get_environ_proxies

        if is_loopback(urlsplit(url).hostname or ""):
            return bool(self.access.proxy_url)
        return bool(self.access.proxy_url or get_environ_proxies(url))

    def _build(self, service: str, *, region: str, assumed: bool) -> Any:
        credentials = self._credentials_for(assumed=assumed)
        endpoint_url = self.access.endpoint_url(service) or None
        client = self._session_for(assumed=assumed).client(
            service,
            region_name=region or None,
            endpoint_url=endpoint_url,
            verify=self.access.ca_file or None,
            config=self._config(endpoint_url=endpoint_url or ""),
        )

        def renew_what_was_refused(response: Any, attempts: int, **_: Any) -> Optional[int]:
            """Once with credentials read anew, at once; then the refusal is the caller's."""
            if response is None or error_code(response[1]) not in _STALE:
                return None
            credentials.stale = True
            return 0 if attempts == 1 else None

        client.meta.events.register("needs-retry", renew_what_was_refused)
        self.calls.watch(client)
        return client

    def _session_for(self, *, assumed: bool) -> Any:
        """One boto3 session for all clients of these credentials: making one costs as much as a client."""
        import boto3

        if assumed not in self._sessions:
            core = self._core_session(self._credentials_for(assumed=assumed))
            self._sessions[assumed] = boto3.Session(botocore_session=core)
        return self._sessions[assumed]

    def _config(self, *, endpoint_url: str) -> Any:
        from botocore.config import Config

        settings: Dict[str, Any] = {
            "connect_timeout": 10,
            "read_timeout": self.access.reply_timeout_seconds,
            "retries": {"mode": "standard", "total_max_attempts": self.access.attempts},
            "tcp_keepalive": True,
            "max_pool_connections": self.access.max_connections,
            "user_agent_extra": self.access.user_agent,
        }
        settings.update(self._way_out(endpoint_url))
        if endpoint_url:
            settings["s3"] = {"addressing_style": "path"}
        return Config(**settings)

    def _way_out(self, endpoint_url: str = "") -> Dict[str, Any]:
        """Proxy and FIPS, in botocore's words, for an endpoint named by hand or for AWS's own."""
        way: Dict[str, Any] = {}
        proxy_url = self.access.proxy_url
        if proxy_url:
            way["proxies"] = {"http": proxy_url, "https": proxy_url}
        elif is_loopback(urlsplit(endpoint_url).hostname or ""):
            way["proxies"] = {}  # the environment's proxy knows no way to our own host
        if proxy_url.startswith("https:") and self.access.ca_file:
            way["proxies_config"] = {"proxy_ca_bundle": self.access.ca_file}
        if self.access.use_fips_endpoint and not endpoint_url:  # one named by hand is its own choice of FIPS
            way["use_fips_endpoint"] = True
        return way

    def _core_session(self, credentials: Any = None) -> Any:
        """A botocore session that takes its settings from the profile; its keys too, if none are given.

        A profile may name a role or an SSO of its own: those clients, which botocore builds by itself, go
        the way of ours.
        """
        import botocore.session
        from botocore.config import Config
        from botocore.credentials import CredentialResolver

        from collector.aws.credentials import FixedProvider
        from collector.aws.models import loader

        core = botocore.session.Session(profile=self.access.profile or None)
        core.register_component("data_loader", loader(core.get_config_variable("data_path")))
        core.set_config_variable("sts_regional_endpoints", "regional")
        if credentials is not None:
            resolver = CredentialResolver([FixedProvider(credentials)])
            core.register_component("credential_provider", resolver)
            return core
        if self.access.ca_file:
            core.set_config_variable("ca_bundle", self.access.ca_file)
        create_client = core.create_client

        def create_our_way(service: str, *args: Any, **options: Any) -> Any:
            endpoint_url = self.access.endpoint_url(service)
            core.set_default_client_config(Config(**self._way_out(endpoint_url)))
            client = create_client(service, *args, **{"endpoint_url": endpoint_url or None, **options})
            self.calls.watch(client)
            return client

        core.create_client = create_our_way
        return core

    def _credentials_for(self, *, assumed: bool) -> Any:
        from collector.aws.credentials import BaseCredentials, RoleCredentials

        with self._lock:
            if assumed not in self._credentials:
                self._credentials[assumed] = (
                    RoleCredentials(self._assume_role, duration_seconds=self.access.role_duration_seconds)
                    if assumed
                    else BaseCredentials(self._read_base)
                )
            return self._credentials[assumed]

    def _read_base(self) -> Any:
        from botocore.credentials import Credentials

        key_id, secret, token = self._keys()
        if key_id:
            return Credentials(key_id, secret, token or None)
        return self._core_session().get_credentials()

    def _assume_role(self) -> Dict[str, str]:
        """The role's credentials, under the narrowest session policy that STS takes."""
        sts = self.client("sts", assumed=False)
        given = self._assumed(sts)
        while given is None:
            given = self._assumed(sts)
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    def _assumed(self, sts: Any) -> Any:
        """One sts:AssumeRole; None if the session policy was too large: the next call sends a wider one."""
        from botocore.exceptions import ClientError

        while len(self._policies) > 1 and not takes(self._policies[0]):
            self._widen("it has more than the 2,048 characters that STS takes")
        try:
            return sts.assume_role(**self._assume_request())["Credentials"]
        except ClientError as error:
            if error_code(error.response) in _TOO_LARGE and len(self._policies) > 1:
                self._widen("STS finds it too large once it is packed")
                return None
            raise

    def _widen(self, why: str) -> None:
        """Go on to the next policy, and say so once."""
        if len(self._policies) == len(self.access.session_policies):
            log.warning("The session policy names less than it could, as %s. role=%s", why, self.role)
        del self._policies[0]

    def _assume_request(self) -> Dict[str, Any]:
        policy = self._policies[0] if self._policies else ""
        optional = {"ExternalId": self.access.external_id, "Policy": policy}
        return {
            "RoleArn": self.access.role,
            "RoleSessionName": self.access.role_session_name,
            "DurationSeconds": self.access.role_duration_seconds,
            **{name: value for name, value in optional.items() if value},
        }
