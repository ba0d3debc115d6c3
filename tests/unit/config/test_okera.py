"""Okera's own form of a configuration, and what is said of a text that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from collector.config import ConfigError, Input, load

OKERA = {
    "s3Region": "us-west-2",
    "sqsRegion": "us-east-1",
    "sqsUrl": "https://sqs.us-east-1.amazonaws.com/111111111111/okera",
}


def read(text: str, *, environ: Optional[Dict[str, str]] = None, **flags: Any) -> List[Input]:
    given = {"HOME": "/home/audit", **(environ or {})}
    return load(config_path="s3://b/conf.json", read=lambda path: text, environ=given, flags=flags)


def refused(text: str, **flags: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text, **flags)
    assert caught.value.scope == "config"
    return caught.value


def test_the_three_names_are_a_queue_and_two_regions() -> None:
    (found,) = read(json.dumps(OKERA), bucket="trail-logs")
    settings = found.settings
    assert (found.name, settings.provider, settings.sourcetype) == ("default", "cloudtrail", "aws:cloudtrail")
    assert (settings.queue_url, settings.queue_region) == (OKERA["sqsUrl"], "us-east-1")
    assert (settings.bucket, settings.bucket_region) == (("trail-logs",), "us-west-2")
    assert found.sources["queue_url"] == "s3://b/conf.json sqsUrl"


def test_any_setting_may_stand_beside_them_and_flags_and_environment_win() -> None:
    more = {**OKERA, "bucket": "theirs", "workers": 7, "hec_gzip": False}
    (found,) = read(json.dumps(more), environ={"AUDIT_S3_BUCKET": "ours-1"}, workers="8")
    assert (found.settings.bucket, found.settings.workers, found.settings.hec_gzip) == (("ours-1",), 8, "off")


def test_without_a_bucket_it_says_where_to_name_one() -> None:
    (problem,) = refused(json.dumps(OKERA)).problems
    assert problem.what == "bucket is not set"
    assert "--bucket" in problem.hint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sqsURL": "x"}, "sqsURL is not a setting"),
        ({"workers": [1]}, "workers is neither text nor a number"),
        ({"workers": 0}, "workers = 0"),
    ],
)
def test_mistakes_are_told_by_the_names_that_were_written(changes: Dict[str, Any], said: str) -> None:
    error = refused(json.dumps({**OKERA, **changes}), bucket="trail-logs")
    assert error.code == "config_invalid"
    assert said in str(error)


def test_a_queue_is_missed_by_its_own_name() -> None:
    assert "sqsUrl is missing" in str(refused('{"s3Region": "us-west-2"}', bucket="trail-logs"))


@pytest.mark.parametrize("text", ['{"sqsUrl": ', '{"sqsUrl": "a", "sqsUrl": "b"}', "{" * 100_000, "{x}"])
def test_a_json_that_is_not_well_formed_is_said_alone(text: str) -> None:
    error = refused(text, workers="0")
    assert error.code == "config_malformed"
    assert "[config_malformed]" in str(error)


def test_a_conf_line_that_nobody_understands_is_malformed_too() -> None:
    assert refused("[audit_s3://a]\nbucket = bbb\nwhat is this\n").code == "config_malformed"


def test_a_missing_a_forbidden_and_a_broken_file_have_codes_of_their_own(tmp_path: Path) -> None:
    def code(path: Path, **options: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            load(config_path=str(path), environ={}, **options)
        return caught.value.code

    def forbidden(path: str) -> str:
        raise PermissionError(13, "Permission denied")

    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xfe")
    codes = [code(tmp_path / "none"), code(tmp_path, read=forbidden), code(broken)]
    assert codes == ["config_missing", "config_denied", "config_malformed"]
