"""The page on the Splunk Add-on: its input is carried over, its commands run, its table is complete."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import List

from collector.onboarding.from_splunk import SETTINGS
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT, blocks, commands
from tests.e2e.collector_process import environment, records

PAGE = (ROOT / "docs" / "migrating-from-the-splunk-add-on.md").read_text(encoding="utf-8")


def test_every_setting_of_the_add_on_that_is_known_is_told() -> None:
    hidden = {"max_receive_count", "s3_multipart_threshold", "exit_on_idle", "disabled"}
    told = PAGE.replace("`_delimiter`", "`parse_csv_with_delimiter`")
    told = re.sub(r"`sqs_`, `s3_`", "`sqs_private_endpoint_url`, `s3_private_endpoint_url`", told)
    assert [name for name in SETTINGS if f"`{name}`" not in told and name not in hidden] == []


def test_its_commands_take_an_input_over(ministack: LocalAws, tmp_path: Path) -> None:
    ministack.reset()
    provider = Provider(ministack, "trail")
    provider.upload("AWSLogs/1/CloudTrail/a.json.gz", records("a", 2))
    (stanza,) = blocks(PAGE, "ini")
    ours = re.sub(r"https://sqs\S+", provider.queue_url, stanza)
    (tmp_path / "inputs.conf").write_text(ours)
    (tmp_path / "aws_iam_roles.conf").write_text(f"[reader]\narn = {provider.role_arn}\n")
    out = [run(words, tmp_path, provider) for words in commands(PAGE)]
    assert [line.count(b'"eventID"') for line in out[-1].splitlines()] == [1, 1]
    assert provider.queue_depth() == 0


def run(words: List[str], folder: Path, provider: Provider) -> bytes:
    keys = {"AWS_ACCESS_KEY_ID": provider.access_key_id, "AWS_SECRET_ACCESS_KEY": provider.secret_access_key,
            "AUDIT_S3_ENDPOINT_URL": provider.aws.endpoint_url, "AUDIT_S3_WAIT_TIME_SECONDS": "1",
            "AUDIT_S3_EXTERNAL_ID": provider.external_id,
            "AUDIT_S3_CHECKPOINT_DIR": str(folder / "state")}
    assert words[0] == "audit-s3"
    known = [word.replace("example-trail-logs", provider.bucket) for word in words[1:]]
    env = {**environment(), **keys, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "collector", *known], cwd=folder, env=env,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, shlex.join(words) + done.stderr.decode()
    return done.stdout


def test_lines_are_not_long_and_links_lead_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$|^\|.*$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert max(map(len, prose.splitlines())) <= 120
    for target in re.findall(r"\]\((?!https:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
