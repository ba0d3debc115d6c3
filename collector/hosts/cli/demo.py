"""`audit-s3 demo`: a local AWS, five systems that write audits into it, and the real collector.

The collector runs as a process of its own, as `audit-s3 run --once` with a configuration file; nothing in
it knows that this is a demo. stdout carries the events that arrived; the story, the progress and the
table go to stderr. Exit code 0 means that every event written arrived exactly once, byte for byte.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, NoReturn, Optional, Sequence

import click

if TYPE_CHECKING:
    from rich.console import Console

    from collector.testing.demo_stage import Scene, Stage
    from collector.testing.fake_hec import FakeHec
    from collector.testing.hec_indexer import Received
    from collector.testing.local_aws import LocalAws

__all__ = ["command"]

#: The collector needs about seven seconds, five of them to be sure that the queues are empty.
_PATIENCE_SECONDS = 90


@click.command("demo")
@click.option(
    "--output",
    type=click.Choice(["stdout", "hec"]),
    default="stdout",
    show_default=True,
    help="Where the collector sends events; hec is a Splunk HEC of our own, on loopback.",
)
@click.option("--keep", is_flag=True, help="Leave the local AWS running until Ctrl-C, to try things by hand.")
def command(output: str, keep: bool) -> None:
    """Start a local AWS, play five systems that write audits, and collect from them.

    Ends by itself and leaves nothing behind, unless --keep.
    """
    if find_spec("ministack") is None:
        click.echo("audit-s3: the demo needs a local AWS: pip install 'audit-s3-collector[demo]'", err=True)
        sys.exit(1)
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    _forget_the_users_aws()
    try:
        sys.exit(_Demo(console, output=output, keep=keep).run())
    except KeyboardInterrupt:
        console.print("Interrupted; everything is removed.")
        sys.exit(130)


class _Demo:
    """One performance, from the empty stage to the swept one."""

    def __init__(self, console: Console, *, output: str, keep: bool) -> None:
        self._say, self._output, self._keep = console.print, output, keep
        self._console = console

    def run(self) -> int:
        """The exit code. Whatever happens, nothing of it is left."""
        from collector.testing.demo_stage import Stage
        from collector.testing.fake_hec import FakeHec
        from collector.testing.local_aws import LocalAws

        with contextlib.ExitStack() as cleanup:
            folder = Path(tempfile.mkdtemp(prefix="audit-s3-demo-"))
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
            self._say("Starting a local AWS (ministack, with signatures and IAM policies enforced)...")
            aws = cleanup.enter_context(LocalAws.ministack(auth=True))
            hec = cleanup.enter_context(FakeHec(acks=True)) if self._output == "hec" else None
            stage = Stage(folder)
            self._play(stage, aws)
            stage.write_config(endpoint_url=aws.endpoint_url, region=aws.region, output=_output_settings(hec))
            complete = self._collect(stage, aws, hec)
            if self._keep:
                self._wait_for_the_user(stage, aws)
            return 0 if complete else 1

    def _play(self, stage: Stage, aws: LocalAws) -> None:
        """Build each system and let it write."""
        with _progress(self._console, "Systems", total=len(stage.scenes)) as advance:
            for scene in stage.scenes:
                scene.build(aws)
                scene.play()
                advance()
                self._say(f"  {scene.name}: {_written(scene)}")

    def _collect(self, stage: Stage, aws: LocalAws, hec: Optional[FakeHec]) -> bool:
        """Run the collector, show what arrived, compare it with what was written."""
        from collector.hosts.demo_report import Verdict, summary_table
        from collector.testing.call_counter import CallCounter

        self._say(f"Collecting to {self._output} with: audit-s3 run --once --config {stage.config_path}")
        began = time.monotonic()
        names = [scene.name for scene in stage.scenes]
        with CallCounter(aws.endpoint_url, names) as counter, _Run(stage, counter.url) as run:
            if hec is None:
                received = _received(run.events(_show))
            else:
                received = self._watch(run, hec)
                _show_received(received)
            code = run.wait()
            if self._keep:
                counter.wait_until_quiet()  # else its last long polls would take what is written next
        verdict = Verdict(stage.scenes, received)
        counters = run.counters()
        self._console.print(summary_table(stage.scenes, verdict, counters, counter))
        self._say(f"{len(received)} events in {time.monotonic() - began:.1f} s. {verdict}")
        left = sum(scene.provider.queue_depth() + scene.provider.dlq_depth() for scene in stage.scenes)
        self._say(f"{left} messages left in the queues and their DLQs. The collector's exit code: {code}.")
        if code or not verdict.complete or left:
            self._say(f"The demo failed. What the collector said last:\n{run.last_words()}", markup=False)
        return verdict.complete and code == 0 and left == 0

    def _watch(self, run: _Run, hec: FakeHec) -> List[Received]:
        """Wait for the collector to end, counting what its HEC has indexed."""
        total = sum(len(scene.audits.events) for scene in run.stage.scenes)
        seen = 0
        with _progress(self._console, "Events indexed", total=total) as advance:
            while run.is_running():
                now = len(hec.received)
                advance(now - seen)
                seen = now
                time.sleep(0.1)
        self._say(f"HEC received {hec.calls['POST /services/collector/event']} requests, and was asked "
                  f"{hec.calls['POST /services/collector/ack']} times for acknowledgements.")
        return hec.received

    def _wait_for_the_user(self, stage: Stage, aws: LocalAws) -> None:
        """Write more audits, say what can be tried, and stay until Ctrl-C."""
        more = sum(scene.play_on() for scene in stage.scenes)
        self._say(_by_hand(stage, aws, more), markup=False)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1.0)  # a signal that another thread was given does not end a wait without end


class _Run:
    """The collector's process. Its log goes to a file, and is shown only when something is wrong."""

    def __init__(self, stage: Stage, endpoint_url: str) -> None:
        self.stage = stage
        self._summary, self._log = stage.folder / "summary.json", stage.folder / "collector.log"
        arguments = ["run", "--once", "--config", str(stage.config_path), "--summary", str(self._summary)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", *arguments],
                env={**os.environ, "AUDIT_S3_ENDPOINT_URL": endpoint_url},  # the way through the counter
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._watchdog = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        """It does not outlive us, whatever happens to us."""
        self._watchdog.cancel()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def events(self, show: Any) -> bytes:
        """All of its stdout, each line shown as it comes."""
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            show(line)
            lines.append(line)
        return b"".join(lines)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait()

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """What each input counted; empty if it did not get so far."""
        try:
            counted: Mapping[str, Mapping[str, int]] = json.loads(self._summary.read_text())
        except (OSError, ValueError):
            return {}
        return counted

    def last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


def _received(lines: bytes) -> List[Received]:
    """What a strict indexer makes of envelopes, one a line."""
    from collector.testing.hec_indexer import Indexer, Policy

    indexer = Indexer(Policy())
    indexer.take(lines, channel="", acks=False, now=0.0)
    return indexer.received


def _output_settings(hec: Optional[FakeHec]) -> Mapping[str, str]:
    if hec is None:
        return {"output": "stdout", "stdout_format": "hec"}
    return {"output": "hec", "hec_url": hec.url, "hec_token": hec.token}


def _show(line: bytes) -> None:
    """One event on stdout: its whole envelope into a pipe or a file, a glimpse of it on a terminal."""
    if sys.stdout.isatty():
        line = _glimpse(line)
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # `demo | head` has seen enough; the comparison goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _glimpse(line: bytes) -> bytes:
    """Sourcetype and event, cut to the width of the terminal."""
    envelope = json.loads(line)
    event = envelope["event"]
    text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    text = f"{envelope.get('sourcetype', ''):<22} {text}".replace("\n", "\\n").replace("\t", "\\t")
    width = shutil.get_terminal_size().columns
    return (text if len(text) <= width else text[: width - 1] + "…").encode() + b"\n"


def _show_received(received: Sequence[Received]) -> None:
    for each in received:
        _show(json.dumps(each.envelope, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _written(scene: Scene) -> str:
    """What one system has and what it wrote, in a line."""
    audits, provider = scene.audits, scene.provider
    parts = [f"access role, user, queue with DLQ, {len(audits.events)} events"]
    if audits.uploads:
        parts.append(f"in {len(audits.uploads)} objects of s3://{provider.bucket} (KMS key, topic)")
    else:
        parts.append(f"in the bodies of {len(audits.bodies)} messages")
    return " ".join(parts) + "; the last one announced twice"


def _by_hand(stage: Stage, aws: LocalAws, more: int) -> str:
    from collector.hosts.cli import VERBS

    tries = (
        ("check", "check"), ("run", "run --dry-run --peek"), ("run", "run --once"), ("status", "status"),
        ("quarantine", "quarantine list"), ("config", "config"),
    )
    lines = [f"  audit-s3 {text} --config {stage.config_path}" for verb, text in tries if verb in VERBS]
    return "\n".join(
        [f"The local AWS stays at {aws.endpoint_url} until Ctrl-C, and {more} new events wait. Try:", *lines]
    )


@contextlib.contextmanager
def _progress(console: Console, title: str, *, total: int) -> Iterator[Any]:
    """A bar on a terminal; elsewhere nothing but the lines that are said meanwhile."""
    from rich.progress import Progress

    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)

        def advance(steps: int = 1) -> None:
            progress.advance(task, steps)

        yield advance


def _forget_the_users_aws() -> None:
    """Profiles, keys, endpoints and proxies of this shell are for the real AWS, not for the local one."""
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "AUDIT_S3_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)


def _interrupt(*_: Any) -> NoReturn:
    """SIGTERM ends as Ctrl-C does: everything is removed first."""
    raise KeyboardInterrupt
