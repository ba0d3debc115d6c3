"""The table itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from collector.config.providers import PROVIDERS
from collector.config.settings import SETTINGS, Settings
from collector.config.table import Invalid, Setting
from collector.config.values import parse, start_time

#: DESIGN, "What users type": names that must exist.
NAMES = """
provider role_arn external_id role_session_name role_duration_seconds session_policy aws_access_key_id
aws_secret_access_key aws_session_token aws_profile account region queue_url queue_region queue_role_arn
bucket bucket_region prefix include exclude routes kms_key_arn expected_bucket_owner endpoint_url
s3_endpoint_url sqs_endpoint_url sts_endpoint_url kms_endpoint_url dynamodb_endpoint_url proxy_url
aws_ca_file use_fips_endpoint sns_signature wait_time_seconds max_number_of_messages
visibility_timeout_seconds workers processes output hec_url hec_token hec_ack hec_gzip hec_ca_file
hec_tls_verify batch_max_bytes batch_linger_seconds max_event_bytes event_identity stdout_format index
host source sourcetype start_from retention_days reconcile_interval_seconds reconcile_grace_seconds
checkpoint_dir checkpoint_store checkpoint_table checkpoint_region http_listen log_level log_format
expected_interval_seconds allow_unauthenticated_cbc sns_topic_arn ignore_databases ignore_users
""".split()

ROWS = pytest.mark.parametrize("row", SETTINGS.values(), ids=list(SETTINGS))


def test_the_table_has_exactly_the_promised_names() -> None:
    assert sorted(SETTINGS) == sorted(NAMES)


def test_a_newcomer_sees_at_most_fourteen_settings() -> None:
    assert sum(row.kind == "everyday" for row in SETTINGS.values()) <= 14


@ROWS
def test_every_row_says_what_it_does_in_one_sentence(row: Setting) -> None:
    assert row.kind in ("everyday", "tuning")
    assert row.group
    assert row.help.endswith(".")
    assert row.help[0].isupper()
    assert "\n" not in row.help


@ROWS
def test_every_default_and_example_is_a_value_that_the_setting_accepts(row: Setting) -> None:
    from collector.config.settings import shown

    assert parse(row, shown(row.default)) == row.default
    if row.example and not row.reference:
        assert parse(row, row.example)


@ROWS
def test_units_stand_in_the_names(row: Setting) -> None:
    if row.unit:
        assert row.name.endswith(f"_{row.unit}")


@ROWS
def test_secrets_never_have_a_default(row: Setting) -> None:
    assert row.secret == (row.type == "secret")
    assert not (row.secret and row.default)


def test_limits_are_inclusive() -> None:
    row = SETTINGS["role_duration_seconds"]
    assert (parse(row, "900"), parse(row, "43200")) == (900, 43_200)
    for text in ("899", "43201", "1e3", "0x10", "900.0"):
        with pytest.raises(Invalid):
            parse(row, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", 1_000_000_000.0),
        ("retention", 1_000_000_000.0 - 30 * 86_400),
        ("2026-05-04T00:00:00Z", 1_777_852_800.0),
        ("2026-05-04", 1_777_852_800.0),
        ("2026-05-04T02:00:00+02:00", 1_777_852_800.0),
        ("2026-05-04 00:00:00", 1_777_852_800.0),
    ],
)
def test_a_start_is_now_the_window_or_a_time_in_utc(text: str, expected: float) -> None:
    normal = parse(SETTINGS["start_from"], text)
    assert start_time(normal, now=1_000_000_000.0, retention_days=30) == expected


def test_presets_set_known_settings_to_valid_values_and_hand_over_known_ones() -> None:
    for preset in PROVIDERS.values():
        for name, text in preset.settings.items():
            assert parse(SETTINGS[name], text)
        assert set(preset.hands_over) <= set(SETTINGS)
        assert preset.title
        assert preset.note.endswith(".")
    assert next(iter(PROVIDERS)) == Settings().provider == "custom"


def test_a_provider_finds_its_host_in_its_own_queue_names_only() -> None:
    preset = PROVIDERS["privacera-pgaudit"]
    assert preset.host_of("privacera-postgres-db-1-audits") == "db-1"
    assert preset.host_of("privacera-postgres-db-1-audits.fifo") == "db-1"
    assert preset.host_of("audits") == PROVIDERS["thrive"].host_of("privacera-postgres-db-audits") == ""


def test_reading_the_configuration_imports_nothing_heavy() -> None:
    code = "import sys, collector.config, collector.config.generate; print(*sys.modules)"
    loaded = (
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
        .stdout.decode()
        .split()
    )
    heavy = {
        "boto3",
        "botocore",
        "cryptography",
        "click",
        "rich",
        "splunklib",
        "sqlite3",
        "difflib",
        "asyncio",
        "http",
    }
    assert heavy.isdisjoint(loaded)
    others = {name for name in loaded if name.startswith("collector.")} - {
        "collector.model",
        "collector.errors",
        "collector.loopback",
    }
    assert all(name.startswith("collector.config") for name in others)
