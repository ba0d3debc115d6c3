"""microburst between a collector and a local AWS: AWS's own errors, on the wire, at will.

    with Microburst(aws.endpoint_url) as burst:
        burst.rules({"service": "s3", "operation": "GetObject", "error": {"code": "SlowDown", "status": 503}})
        ...
        burst.fired()      # what it did, in order

It rewrites Host, so signatures do not hold: the AWS behind it must not check them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

from collector.testing.local_aws import free_port

__all__ = ["Microburst"]

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Microburst:
    """A proxy in a process of its own, on loopback."""

    def __init__(self, upstream: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "microburst", "--upstream", upstream, "--port", str(port), "--no-resign"],
            env=inherited, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self._wait_until_healthy(seconds=30)

    def rules(self, *rules: Dict[str, Any]) -> None:
        """These rules, and no others."""
        self._ask("POST", "rules", list(rules))

    def fired(self) -> List[Dict[str, Any]]:
        """Every fault so far."""
        answer: List[Dict[str, Any]] = self._ask("GET", "fired?limit=100000")
        return answer

    def forget(self) -> None:
        """No rules, and nothing fired yet."""
        self.rules()
        self._ask("DELETE", "fired")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Microburst:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_microburst/{path}", data=sent, method=method)
        request.add_header("Content-Type", "application/json")
        with _DIRECT.open(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def _wait_until_healthy(self, *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._ask("GET", "health")
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError("microburst did not start; is it installed (extra `faults`)?")
