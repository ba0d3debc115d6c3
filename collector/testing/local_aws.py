"""A local AWS in its own process: ministack (with real IAM enforcement) or moto, on a free loopback port.

    with LocalAws.ministack() as aws:
        sqs = aws.client("sqs", account=PROVIDER)
        ...

The process dies with the one that started it, however that one dies: it watches a pipe that only its
parent holds. Two accounts share the endpoint: PROVIDER owns buckets, queues, keys and the access role,
CUSTOMER owns the user whose keys the collector is given. `collector.testing.provider` fills it.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type

__all__ = ["CUSTOMER", "PROVIDER", "REGION", "LocalAws", "free_port"]

PROVIDER = "111111111111"
CUSTOMER = "222222222222"
REGION = "eu-west-1"

#: Runs a module as `python -m` would, and ends it when the pipe on stdin closes: a parent that was
#: killed cannot clean up, but its end of the pipe is closed all the same. ministack's S3 tells the queue
#: from a thread of its own, at any time after PutObject has answered; here it answers after that thread,
#: so that whoever has uploaded finds in the queue what the object announced, as with moto. moto's SQS builds
#: the list of a queue's messages anew for each that is deleted: of two that are at the same moment, or of one
#: deleted while another is sent, one was undone. Here they wait for each other.
_RUNNER = """
import os, runpy, signal, sys, threading, types
def end_with_parent():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Timer(3, os._exit, (1,)).start()
if sys.argv[1] == "watch":
    threading.Thread(target=end_with_parent, daemon=True).start()
sys.argv = sys.argv[2:]
class Awaited(threading.Thread):
    def start(self):
        super().start()
        self.join(10)
if sys.argv[0] == "ministack":
    from ministack.services import s3
    s3.threading = types.SimpleNamespace(**{**vars(threading), "Thread": Awaited})
else:
    from moto.sqs.models import Queue
    at_once = Queue.delete_message
    def delete_message(self, receipt_handle):
        with self._messages_lock:
            at_once(self, receipt_handle)
    Queue.delete_message = delete_message
runpy.run_module(sys.argv[0], run_name="__main__")
"""


class LocalAws:
    """One running emulator. `kind` is "ministack" or "moto"; `enforces_iam` says whether policies count."""

    def __init__(
        self, kind: str, *, enforces_iam: bool, process: subprocess.Popen[bytes], port: int, log_path: Path
    ) -> None:
        self.kind = kind
        self.enforces_iam = enforces_iam
        self.region = REGION
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.log_path = log_path
        self._process = process
        self._clients: Dict[Tuple[str, str, str], Any] = {}
        self._sessions: Dict[str, Any] = {}
        atexit.register(self.stop)

    @classmethod
    def ministack(cls, *, auth: bool = True, keep: bool = False) -> LocalAws:
        """Start ministack: SigV4, IAM, session and key policies are enforced if `auth`.

        With `keep` it outlives this process; end it by `stop()` or by its `pid`.
        """
        settings = {
            "AUTH": "true" if auth else "false",
            "BIND_HOST": "127.0.0.1",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_REGION": REGION,
            "MINISTACK_HOST": "127.0.0.1",
            "LOG_LEVEL": "WARNING",
        }
        return cls._start("ministack", enforces_iam=auth, settings=settings, keep=keep)

    @classmethod
    def moto(cls, *, keep: bool = False) -> LocalAws:
        """Start moto's server, which checks neither signatures nor policies: the second opinion."""
        settings = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
        return cls._start("moto", enforces_iam=False, settings=settings, keep=keep)

    @classmethod
    def _start(cls, kind: str, *, enforces_iam: bool, settings: Mapping[str, str], keep: bool) -> LocalAws:
        failures: List[str] = []
        for _ in range(3):  # between finding a port free and binding it, someone else may take it
            port = free_port()
            process, log_path = _spawn(kind, port=port, settings=settings, keep=keep)
            local = cls(kind, enforces_iam=enforces_iam, process=process, port=port, log_path=log_path)
            if local._wait_until_healthy(seconds=60):
                if keep:
                    atexit.unregister(local.stop)
                return local
            failures.append(log_path.read_text(errors="replace")[-2000:])
            local.stop()
        raise RuntimeError(f"{kind} did not start; is it installed (extra `demo`)?\n" + failures[-1])

    @property
    def pid(self) -> int:
        return self._process.pid

    def client(self, service: str, *, account: str = PROVIDER, region: str = "") -> Any:
        """A boto3 client with every right in `account`; built once per service, account and region."""
        key = (service, account, region or self.region)
        if key not in self._clients:
            client = self._session(account).client(
                service, region_name=key[2], endpoint_url=self.endpoint_url, config=_direct()
            )
            client.meta.events.register("before-sign", partial(_name_account, account=account))
            self._clients[key] = client
        return self._clients[key]

    def _session(self, account: str) -> Any:
        import boto3

        if account not in self._sessions:
            # A 12-digit access key id is the root of that account in ministack; moto takes any key.
            self._sessions[account] = boto3.Session(aws_access_key_id=account, aws_secret_access_key="test")
        return self._sessions[account]

    def reset(self) -> None:
        """Forget everything: accounts, buckets, queues, keys."""
        path = "/_ministack/reset" if self.kind == "ministack" else "/moto-api/reset"
        request = urllib.request.Request(self.endpoint_url + path, data=b"", method="POST")
        with _DIRECT.open(request, timeout=30) as answer:
            answer.read()

    def stop(self) -> None:
        """End the process and remove its files. May be called twice."""
        atexit.unregister(self.stop)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(1)  # it would wait for long polls whose clients are gone
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self.log_path.parent, ignore_errors=True)

    def __enter__(self) -> LocalAws:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    def _wait_until_healthy(self, *, seconds: float) -> bool:
        path = "/_ministack/health" if self.kind == "ministack" else "/moto-api/data.json"
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with _DIRECT.open(self.endpoint_url + path, timeout=5) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        return False


#: All of it is on loopback, whatever proxy the environment names.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _direct() -> Any:
    from botocore.config import Config

    return Config(proxies={})


def _name_account(request: Any, account: str, **_: Any) -> None:
    """How moto is told the account; ministack knows it from the key, and ignores this."""
    request.headers["x-moto-account-id"] = account


def _spawn(
    kind: str, *, port: int, settings: Mapping[str, str], keep: bool
) -> Tuple[subprocess.Popen[bytes], Path]:
    module = {
        "ministack": ["ministack"],
        "moto": ["moto.server", "-H", "127.0.0.1", "-p", str(port)],
    }[kind]
    # The emulator must not see the collector's credentials, endpoints or proxies.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("AWS_") and not name.upper().endswith("_PROXY")
    }
    # A folder of its own: what it writes to TMPDIR (a pid file, say) goes with it, even if it is killed.
    folder = Path(tempfile.mkdtemp(prefix=f"audit-s3-{kind}-"))
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [_python(), "-c", _RUNNER, "keep" if keep else "watch", *module],
            env={**inherited, **settings, "GATEWAY_PORT": str(port), "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C belongs to the parent, which may still need us to clean up
        )
    return process, log_path


def _python() -> str:
    """The interpreter that has the emulators: this one, unless AUDIT_S3_TEST_PYTHON names another."""
    return os.environ.get("AUDIT_S3_TEST_PYTHON") or sys.executable


def free_port() -> int:
    """A free TCP port on loopback for a server that starts later.

    It is none of those that the kernel gives to connections (from 32768 on), so none takes it meanwhile.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port from 20000 to 32000 is free")
