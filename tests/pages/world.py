"""A collector at work, for pages to look at: the demo's providers on a local AWS, a fake HEC, the program."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

from collector.testing.demo_stage import Scene, Stage
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws, free_port
from tests.e2e.collector_process import environment

__all__ = ["World"]


class World:
    """Starts everything; `close` ends what it started. `scenes` limits the inputs; more are settings."""

    def __init__(self, aws: LocalAws, folder: Path, *, scenes: int = 5, **settings: Any) -> None:
        aws.reset()
        self.folder = folder
        self.hec = FakeHec(acks=True).start()
        self.stage = Stage(folder)
        self.stage.scenes = self.stage.scenes[:scenes]
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}/"
        for scene in self.scenes:
            scene.build(aws)
        common: Dict[str, str] = {
            "http_listen": self.address, "output": "hec", "hec_url": self.hec.url,
            "hec_token": self.hec.token, "start_from": "retention", "wait_time_seconds": "1",
        }
        given = {**common, **{name: str(value) for name, value in settings.items()}}
        self.stage.write_config(endpoint_url=aws.endpoint_url, region=aws.region, output=given)
        self.log_path = folder / "log"
        command = [sys.executable, "-m", "collector", "run", "--config", str(self.stage.config_path)]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)

    @property
    def scenes(self) -> List[Scene]:
        return list(self.stage.scenes)

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.hec.close()
