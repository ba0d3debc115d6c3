"""Five systems played on one local AWS, and the configuration of a collector for them.

    with LocalAws.ministack() as aws:
        stage = Stage(aws, folder)
        for scene in stage.scenes:
            scene.build(aws)
            scene.play()
        stage.write_config(output={"output": "stdout"})

Each system has its own access role with an external id, its own IAM user, KMS key, bucket, topic and queue
with a DLQ (see provider.py); the two whose audits come in message bodies have a queue and a role only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence

from collector.testing.demo_audits import SYSTEMS, Audits
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider

__all__ = ["Scene", "Stage"]

_UNSIGNED = "# The local AWS cannot sign as SNS does, so it is off: elsewhere leave this line out.\n"


class Scene:
    """One system: its audits, and once built, its provider. Repeats one notification on purpose."""

    def __init__(self, make: Callable[..., Audits], now: float) -> None:
        self._make, self._now = make, now
        self.audits = make(now=now)
        self.name = self.audits.name
        self.provider: Provider

    def build(self, aws: LocalAws) -> None:
        """Create what the provider owns and what it hands over. Wins over nothing: names must be free."""
        self.provider = Provider(aws, self.name, bucket=bool(self.audits.uploads))

    def play(self) -> None:
        """Upload and send everything; the last notification or body comes twice, as SQS may do."""
        self._deliver(self.audits)
        if self.audits.bodies:
            self.provider.send_body(self.audits.bodies[-1].text)
        else:
            self.provider.notify(self.audits.uploads[-1].key)

    def play_on(self) -> int:
        """Write another round of audits, for trying commands by hand; returns how many events."""
        more = self._make(now=self._now + 1, seed=2)
        self._deliver(more)
        return len(more.events)

    def _deliver(self, audits: Audits) -> None:
        for upload in audits.uploads:
            self.provider.upload(upload.key, upload.body, **upload.headers)
        for body in audits.bodies:
            self.provider.send_body(body.text)


class Stage:
    """All scenes and the folder of the collector that watches them. The folder is the caller's."""

    def __init__(self, folder: Path, *, now: float = 0.0) -> None:
        self.folder = folder
        self.config_path = folder / "audit-s3.conf"
        self.scenes: Sequence[Scene] = [Scene(make, now or time.time()) for make in SYSTEMS]

    def write_config(self, *, endpoint_url: str, region: str, output: Mapping[str, str]) -> Path:
        """The file as a customer would write it; secrets stand in files of their own, mode 0600.

        `output` holds settings for all inputs; `hec_token` among them becomes a file too.
        """
        common = {"region": region, "endpoint_url": endpoint_url, "sns_signature": "off", **output}
        if "hec_token" in common:
            common["hec_token"] = self._secret("hec-token", common["hec_token"])
        common["checkpoint_dir"] = str(self.folder / "checkpoints")
        stanzas = [_UNSIGNED + _stanza("audit_s3", common)]
        stanzas += [_stanza(f"audit_s3://{scene.name}", self._input(scene)) for scene in self.scenes]
        _write_private(self.config_path, "\n".join(stanzas))
        return self.config_path

    def _input(self, scene: Scene) -> Dict[str, str]:
        given = scene.provider.handover()
        given["aws_secret_access_key"] = self._secret(f"{scene.name}-secret", given["aws_secret_access_key"])
        shared = ("region", "endpoint_url")
        own = {name: value for name, value in given.items() if name not in shared}
        return {"provider": scene.audits.preset, **own}

    def _secret(self, name: str, text: str) -> str:
        """Keep a secret in a file that only its owner can read; returns the reference to it."""
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        _write_private(folder / name, text + "\n")
        return f"file:{folder / name}"


def _stanza(name: str, settings: Mapping[str, str]) -> str:
    lines: List[str] = [f"[{name}]", *(f"{key} = {value}" for key, value in settings.items())]
    return "\n".join(lines) + "\n"


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
