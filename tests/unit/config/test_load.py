"""Flags, environment, file, preset and defaults become inputs, or every mistake is reported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest

from collector.config import ConfigError, Input, Secret, from_stanza, load
from collector.errors import Fatal

ROLE = "arn:aws:iam::111111111111:role/audit-access"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue"
KEY = "arn:aws:kms:us-west-2:111111111111:key/1234"
MINIMAL = f"[audit_s3://thrive]\nqueue_url = {QUEUE}\n"

LoadText = Callable[..., List[Input]]


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    """`load` on a file of this text, in an environment of its own."""

    def run(text: str, *, environ: Optional[Dict[str, str]] = None, **options: object) -> List[Input]:
        path = tmp_path / "audit-s3.conf"
        path.write_text(text, encoding="utf-8")
        given = {"HOME": "/home/audit", **(environ or {})}
        return load(config_path=str(path), environ=given, **options)  # type: ignore[arg-type]

    return run


def problems_of(text: str, load_text: LoadText, **options: object) -> List[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(text, **options)
    return [str(problem) for problem in caught.value.problems]


def only_problem(text: str, load_text: LoadText, **options: object) -> str:
    (problem,) = problems_of(text, load_text, **options)
    return problem


TWICE = f"""[audit_s3://thrive]
queue_url = {QUEUE}
hec_token = 11111111-aaaa-bbbb-cccc-222222222222
hec_url = https://splunk.example.com:8088
[audit_s3://thrive]
queue_url = {QUEUE}-2
hec_token = 33333333-aaaa-bbbb-cccc-444444444444
"""


def test_a_repeated_stanza_that_replaces_values_is_a_warning_with_their_lines(load_text: LoadText) -> None:
    (found,) = load_text(TWICE)
    told = [warning for warning in found.warnings if "replaces" in warning]
    assert ["queue_url replaces another value, of line 2" in one for one in told] == [True, False]
    assert ":6 [audit_s3://thrive]: " in told[0] and ":7 [audit_s3://thrive]: " in told[1]
    assert all("give each a name of its own" in one for one in told)
    assert "aaaa" not in str(told)


def test_a_key_given_twice_with_one_value_is_no_warning(load_text: LoadText) -> None:
    (found,) = load_text(f"{MINIMAL}queue_url = {QUEUE}\n[monitor:///x]\na = 1\na = 2\n")
    assert not any("replaces" in warning for warning in found.warnings)


# All mistakes at once


def test_six_different_mistakes_are_all_reported(load_text: LoadText) -> None:
    found = problems_of(
        f"""[audit_s3://thrive]
providr = thrive
queue_url = {QUEUE}
role_arn = arn:aws:iam::1:role/x
visibility_timeout_seconds = 5
hec_ack = sometimes
hec_url = http://splunk.example.com:8088
hec_token = file:/nowhere/token
""",
        load_text,
    )
    expected = [
        (":2 ", "provider?"),
        (":4 ", "not the ARN of an IAM role"),
        (":5 ", "30 to 43200 seconds"),
        (":6 ", "auto, on, off"),
        (":7 ", "https://splunk.example.com:8088"),
        (":8 ", "/nowhere/token"),
    ]
    for line, words in expected:
        assert [text for text in found if line in text and words in text], (line, words, found)
    assert len(found) == 6


def test_mistakes_of_every_input_are_reported_together(load_text: LoadText) -> None:
    text = "[audit_s3://a]\nworkers = 0\n[audit_s3://b]\nretention_days = x\nbucket = bbb\n"
    found = problems_of(text, load_text)
    assert len(found) == 3
    assert {"audit_s3://a", "audit_s3://b"} == {text.split("[")[1].split("]")[0] for text in found}


def test_a_mistake_in_the_defaults_is_reported_once(load_text: LoadText) -> None:
    text = f"[audit_s3]\nworkers = 0\n[audit_s3://a]\nqueue_url = {QUEUE}\n[audit_s3://b]\nbucket = bbb\n"
    assert "workers = 0" in only_problem(text, load_text)


def test_the_error_is_fatal_for_the_configuration_with_one_line_for_each_problem(load_text: LoadText) -> None:
    with pytest.raises(Fatal) as caught:
        load_text("[audit_s3://a]\nworkers = 0\nx = 1\n")
    assert (caught.value.scope, caught.value.code) == ("config", "config_invalid")
    assert len(str(caught.value).splitlines()) == 1 + 3


def test_a_bad_value_brings_no_error_that_only_follows_from_it(load_text: LoadText) -> None:
    assert "is no queue name" in only_problem("[audit_s3://a]\nqueue_url = a queue\n", load_text)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("queueurl", "queue_url"),
        ("Queue_URL", "queue_url"),
        ("kms_key", "kms_key_arn"),
        ("hec-token", "hec_token"),
    ],
)
def test_an_unknown_setting_suggests_the_nearest_name(wrong: str, right: str, load_text: LoadText) -> None:
    assert f"did you mean {right}?" in only_problem(f"{MINIMAL}{wrong} = 1\n", load_text)


def test_a_name_like_no_other_is_sent_to_the_reference(load_text: LoadText) -> None:
    assert "docs/reference/settings.md" in only_problem(f"{MINIMAL}zzzzzz = 1\n", load_text)


def test_a_provider_that_is_not_known_suggests_the_nearest(load_text: LoadText) -> None:
    assert "did you mean immuta?" in only_problem(f"{MINIMAL}provider = imuta\n", load_text)


def test_a_value_that_is_none_of_its_choices_is_told_of_them_once(load_text: LoadText) -> None:
    assert only_problem(f"{MINIMAL}log_level = chatty\n", load_text).count("debug, info") == 1


# Precedence


def test_flag_beats_environment_beats_stanza_beats_defaults_beats_preset_beats_default(
    load_text: LoadText,
) -> None:
    layers = [
        ({}, "provider = thrive", "", {}, "thrive:audit", "provider preset thrive"),
        ({}, "provider = thrive", "sourcetype = d", {}, "d", ":2 [audit_s3]"),
        ({}, "provider = thrive\nsourcetype = s", "sourcetype = d", {}, "s", "[audit_s3://thrive]"),
        (
            {"AUDIT_S3_SOURCETYPE": "e"},
            "sourcetype = s",
            "sourcetype = d",
            {},
            "e",
            "environment AUDIT_S3_SOURCETYPE",
        ),
        ({"AUDIT_S3_SOURCETYPE": "e"}, "sourcetype = s", "", {"sourcetype": "f"}, "f", "flag --sourcetype"),
    ]
    for environ, stanza, defaults, flags, value, source in layers:
        (found,) = load_text(f"[audit_s3]\n{defaults}\n{MINIMAL}{stanza}\n", environ=environ, flags=flags)
        assert found.settings.sourcetype == value
        assert source in found.sources["sourcetype"]
    assert load_text(MINIMAL)[0].settings.sourcetype == ""
    assert load_text(MINIMAL)[0].sources["sourcetype"] == "default"


def test_every_setting_has_a_source(load_text: LoadText) -> None:
    from collector.config import SETTINGS

    (found,) = load_text(MINIMAL)
    assert set(found.sources) == set(SETTINGS)


def test_flags_that_were_not_given_do_not_count_and_typed_ones_are_read(load_text: LoadText) -> None:
    flags = {"workers": 4, "hec_gzip": False, "prefix": None, "bucket": ("aaa", "bbb"), "log_level": "DEBUG"}
    settings = load_text(f"{MINIMAL}prefix = p/\n", flags=flags)[0].settings
    assert (settings.workers, settings.hec_gzip, settings.prefix) == (4, "off", "p/")
    assert (settings.bucket, settings.log_level) == (("aaa", "bbb"), "debug")


def test_an_empty_value_takes_back_what_a_lower_place_says(load_text: LoadText) -> None:
    defaults = "[audit_s3]\nprefix = p/\nworkers = 4\nprovider = thrive\n"
    settings = load_text(f"{defaults}{MINIMAL}prefix =\nworkers =\nsourcetype =\n")[0].settings
    assert (settings.prefix, settings.workers, settings.sourcetype) == ("", 32, "")


def test_an_empty_environment_variable_is_not_set(load_text: LoadText) -> None:
    assert load_text(f"{MINIMAL}prefix = p/\n", environ={"AUDIT_S3_PREFIX": ""})[0].settings.prefix == "p/"


# Files and inputs


def test_without_a_file_the_environment_makes_one_input() -> None:
    (found,) = load(environ={"AUDIT_S3_QUEUE_URL": QUEUE, "HOME": "/h"})
    assert (found.name, found.settings.queue_url, found.settings.output) == ("default", QUEUE, ("stdout",))


def test_without_anything_the_error_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="neither queue_url nor bucket"):
        load(environ={})


@pytest.mark.parametrize("only", [None, "thrive"])
def test_a_file_that_is_not_named_is_asked_for_and_nothing_else(only: str | None) -> None:
    with pytest.raises(ConfigError, match="--config") as caught:
        load(environ={"AUDIT_S3_WORKERS": "many"}, only=only)
    assert [problem.what for problem in caught.value.problems] == [
        "workers = many: it is not a whole number",
        "no configuration file is named, and neither queue_url nor bucket is set: there is nothing to read",
    ]


def test_a_file_of_defaults_only_makes_one_input(load_text: LoadText) -> None:
    (found,) = load_text(f"[audit_s3]\nqueue_url = {QUEUE}\n")
    assert found.name == "default"


def test_the_environment_names_the_file_and_the_flag_names_another(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"[audit_s3://{name}]\nqueue_url = {QUEUE}\n")
    environ = {"AUDIT_S3_CONFIG": str(tmp_path / "a"), "HOME": "/h"}
    assert load(environ=environ)[0].name == "a"
    assert load(config_path=str(tmp_path / "b"), environ=environ)[0].name == "b"


def test_a_file_that_cannot_be_read_is_one_problem_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"[a]\nx = \xe9")
    for path, words in (("none", "No such file"), ("", "directory"), ("latin", "UTF-8")):
        with pytest.raises(ConfigError, match=words) as caught:
            load(config_path=str(tmp_path / path), environ={})
        assert str(tmp_path) in str(caught.value)


def test_the_text_may_come_from_elsewhere() -> None:
    (found,) = load(
        config_path="s3://conf/x",
        environ={"HOME": "/h"},
        read=lambda path: f"[audit_s3://x]\nbucket={path[5:9]}",
    )
    assert found.sources["bucket"] == "s3://conf/x:2 [audit_s3://x]"


@pytest.mark.parametrize("word", ["1", "true", "yes", "on", "T"])
def test_disabled_inputs_are_left_out_unjudged(word: str, load_text: LoadText) -> None:
    text = f"{MINIMAL}[audit_s3://off]\ndisabled = {word}\nworkers = 0\n"
    assert [found.name for found in load_text(text)] == ["thrive"]


def test_disabled_in_the_defaults_can_be_taken_back(load_text: LoadText) -> None:
    text = f"[audit_s3]\ndisabled = 1\n[audit_s3://off]\nbucket = bbb\n{MINIMAL}disabled = 0\n"
    assert [found.name for found in load_text(text)] == ["thrive"]


def test_a_file_with_every_input_disabled_is_an_error(load_text: LoadText) -> None:
    assert "every input is disabled" in only_problem(f"{MINIMAL}disabled = 1\n", load_text)


def test_one_input_may_be_picked_and_the_others_are_not_judged(load_text: LoadText) -> None:
    text = f"{MINIMAL}[audit_s3://broken]\nworkers = 0\n"
    assert [found.name for found in load_text(text, only="thrive")] == ["thrive"]
    assert "there is thrive, broken" in only_problem(text, load_text, only="other")


def test_splunks_own_keys_are_accepted(load_text: LoadText) -> None:
    text = "disabled = 0\ninterval = 60\nstart_by_shell = false\n"
    text += "python.version = python3\npython.required = 3.9, 3.13\n"
    assert load_text(f"[audit_s3]\n{text}{MINIMAL}{text}")[0].settings.index == ""


def test_index_default_is_unset(load_text: LoadText) -> None:
    assert load_text(f"[audit_s3]\nindex = aws\n{MINIMAL}index = default\n")[0].settings.index == ""


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("audit-s3://x", "[audit_s3://x]"),
        ("audits3://x", "[audit_s3://x]"),
        ("audit_s3:x", "[audit_s3://x]"),
        ("Audit_S3", "[audit_s3]"),
        ("default", "[audit_s3://NAME]"),
        ("thrive", "[audit_s3://NAME]"),
    ],
)
def test_a_misspelt_stanza_is_an_error_and_says_what_was_meant(
    header: str, hint: str, load_text: LoadText
) -> None:
    assert hint in only_problem(f"{MINIMAL}[{header}]\nbucket = bbb\n", load_text)


def test_stanzas_of_other_splunk_inputs_are_left_alone(load_text: LoadText) -> None:
    (found,) = load_text(f"{MINIMAL}[monitor:///var/log]\nwhitelist = x\n")
    assert any("monitor" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-", "x" * 65, "a/b"])
def test_an_inputs_name_is_fit_to_be_a_files_name(name: str, load_text: LoadText) -> None:
    assert "[audit_s3://NAME]" in only_problem(f"[audit_s3://{name}]\nqueue_url = {QUEUE}\n", load_text)


def test_two_inputs_on_one_queue_are_an_error_however_it_is_written(load_text: LoadText) -> None:
    arn = "arn:aws:sqs:eu-west-1:111111111111:audit-queue"
    assert "same queue" in only_problem(f"{MINIMAL}[audit_s3://b]\nqueue_url = {arn}\n", load_text)


def test_what_holds_for_the_process_may_be_set_in_any_input(load_text: LoadText) -> None:
    text = f"{MINIMAL}[audit_s3://b]\nbucket = bbb\nlog_level = debug\n"
    assert [found.settings.log_level for found in load_text(text)] == ["debug", "debug"]


def test_what_holds_for_the_process_may_not_differ(load_text: LoadText) -> None:
    text = f"{MINIMAL}log_level = info\n[audit_s3://b]\nbucket = bbb\nlog_level = debug\n"
    assert "log_level holds for all inputs" in only_problem(text, load_text)


# The environment


def test_a_variable_that_is_nearly_a_setting_is_an_error(load_text: LoadText) -> None:
    found = only_problem(MINIMAL, load_text, environ={"AUDIT_S3_QUEUEURL": "x"})
    assert "did you mean AUDIT_S3_QUEUE_URL?" in found


def test_a_variable_like_no_setting_is_a_warning(load_text: LoadText) -> None:
    (found,) = load_text(MINIMAL, environ={"AUDIT_S3_FROBNICATE": "x"})
    assert any("AUDIT_S3_FROBNICATE" in warning for warning in found.warnings)


def test_what_kubernetes_sets_for_a_service_is_nothing_to_us(load_text: LoadText) -> None:
    environ = {
        "AUDIT_S3_SERVICE_HOST": "10.0.0.1",
        "AUDIT_S3_PORT_9090_TCP_ADDR": "x",
        "AUDIT_S3_PORT": "tcp://x",
    }
    assert load_text(MINIMAL, environ=environ)[0].warnings == ()


# Secrets


def hec(token: str) -> str:
    return f"{MINIMAL}hec_url = https://splunk.example.com:8088\nhec_token = {token}\n"


def test_a_secret_in_plain_text_works_with_a_warning_that_does_not_show_it(load_text: LoadText) -> None:
    (found,) = load_text(hec("c4n4ry"))
    assert found.settings.hec_token == Secret("c4n4ry")
    (warning,) = found.warnings
    assert "hec_token is plain text" in warning
    assert "c4n4ry" not in warning + repr(found)


def test_a_secret_by_reference_or_from_the_environment_brings_no_warning(
    load_text: LoadText, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("c4n4ry\n")
    (tmp_path / "token").chmod(0o640)
    for text, environ in (
        (f"file:{tmp_path}/token", {}),
        ("env:TOKEN", {"TOKEN": "c4n4ry"}),
        ("credential:token", {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        ("", {"AUDIT_S3_HEC_TOKEN": "c4n4ry"}),
    ):
        (found,) = load_text(hec(text), environ=environ)
        assert found.settings.hec_token.reveal() == "c4n4ry"
        assert found.warnings == ()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o602, 0o666])
def test_a_secret_in_a_file_that_all_may_read_or_write_is_warned_of(
    load_text: LoadText, tmp_path: Path, mode: int
) -> None:
    (tmp_path / "token").write_text("c4n4ry\n")
    (tmp_path / "token").chmod(mode)
    (found,) = load_text(hec(f"file:{tmp_path}/token"), environ={})
    (warning,) = found.warnings
    assert f"{tmp_path}/token; chmod 600 it" in warning and "c4n4ry" not in warning
    assert warning.endswith(f"for the service chgrp audit-s3 {tmp_path}/token && chmod 640 {tmp_path}/token")


def test_an_access_key_id_may_be_a_reference_too(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("AKIAIOSFODNN7EXAMPLE\n")
    text = f"{MINIMAL}aws_access_key_id = file:{tmp_path}/id\naws_secret_access_key = env:S\n"
    (found,) = load_text(text, environ={"S": "x"})
    assert found.settings.aws_access_key_id == "AKIAIOSFODNN7EXAMPLE"


def test_a_secret_is_never_a_flag(load_text: LoadText) -> None:
    found = only_problem(MINIMAL, load_text, flags={"hec_token": "c4n4ry"})
    assert "--hec-token" in found
    assert "c4n4ry" not in found


def test_no_error_shows_a_secret(load_text: LoadText) -> None:
    text = f"{hec('c4n4ry')}workers = 0\nproxy_url = ftp://me:c4n4ry@proxy.example.com\nhec_token c4n4ry\n"
    assert "c4n4ry" not in "\n".join(problems_of(text, load_text))


# What follows


def test_regions_owner_role_and_output_follow_from_the_four_values(load_text: LoadText) -> None:
    (found,) = load_text(
        f"{hec('env:T')}role_arn = {ROLE}\nbucket = aaa\nkms_key_arn = {KEY}\n", environ={"T": "t"}
    )
    settings = found.settings
    assert (settings.queue_region, settings.region, settings.bucket_region) == (
        "eu-west-1",
        "eu-west-1",
        "us-west-2",
    )
    assert (settings.account, settings.expected_bucket_owner) == ("111111111111", "111111111111")
    assert (settings.queue_role_arn, settings.output) == (ROLE, ("hec",))
    assert found.sources["bucket_region"] == "from kms_key_arn"
    assert found.sources["expected_bucket_owner"] == "from account"


def test_none_switches_the_owner_and_the_queues_role_off(load_text: LoadText) -> None:
    text = f"{MINIMAL}role_arn = {ROLE}\nexpected_bucket_owner = none\nqueue_role_arn = none\n"
    settings = load_text(text)[0].settings
    assert (settings.expected_bucket_owner, settings.queue_role_arn) == ("", "")


def test_without_a_role_nobody_is_expected_to_own_the_bucket(load_text: LoadText) -> None:
    assert load_text(f"{MINIMAL}bucket = aaa\n")[0].settings.expected_bucket_owner == ""


def test_a_queue_by_name_belongs_to_the_roles_account_unless_it_needs_no_role(load_text: LoadText) -> None:
    text = f"[audit_s3://a]\nqueue_url = audit-queue\nqueue_region = eu-west-1\nrole_arn = {ROLE}\n"
    assert load_text(text)[0].settings.queue_url == QUEUE
    queue = load_text(f"{text}queue_role_arn = none\n")[0].queue
    assert queue is not None
    assert (queue.name, queue.url, queue.account) == ("audit-queue", "", "")


def test_a_private_queue_url_tells_boto3_its_endpoint_unless_one_is_set(load_text: LoadText) -> None:
    text = "[audit_s3://a]\nregion = eu-west-1\nqueue_url = http://127.0.0.1:4566/000000000000/q\n"
    assert load_text(text)[0].settings.sqs_endpoint_url == "http://127.0.0.1:4566"
    settings = load_text(f"{text}endpoint_url = http://127.0.0.1:9999\n")[0].settings
    assert settings.endpoint_for("sqs") == "http://127.0.0.1:9999"


def test_an_endpoint_of_one_service_wins_over_that_of_all(load_text: LoadText) -> None:
    text = f"{MINIMAL}endpoint_url = http://127.0.0.1:1\ns3_endpoint_url = http://127.0.0.1:2/\n"
    settings = load_text(text)[0].settings
    assert (settings.endpoint_for("s3"), settings.endpoint_for("kms")) == (
        "http://127.0.0.1:2",
        "http://127.0.0.1:1",
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/audit-s3:/var/lib/b"}, "/var/lib/audit-s3"),
        ({"XDG_STATE_HOME": "/state"}, "/state/audit-s3"),
        ({}, "/home/audit/.local/state/audit-s3"),
    ],
)
def test_the_checkpoint_directory_is_never_empty(
    environ: Dict[str, str], expected: str, load_text: LoadText
) -> None:
    assert load_text(MINIMAL, environ=environ)[0].settings.checkpoint_dir == expected


def test_pgaudits_host_is_the_instance_in_the_queues_name(load_text: LoadText) -> None:
    queue = "region = eu-west-1\nqueue_url = privacera-postgres-db-1-audits.fifo"
    text = f"[audit_s3://a]\nprovider = privacera-pgaudit\n{queue}\n"
    (found,) = load_text(text)
    assert (found.settings.host, found.settings.sourcetype, found.bodies) == (
        "db-1",
        "postgresql:pgaudit",
        True,
    )
    assert load_text(f"{text}host = mine\n")[0].settings.host == "mine"


def test_bodies_are_audits_by_the_provider_or_for_want_of_a_bucket(load_text: LoadText) -> None:
    assert load_text(MINIMAL)[0].bodies
    assert not load_text(f"{MINIMAL}bucket = aaa\n")[0].bodies
    assert load_text(f"{MINIMAL}bucket = aaa\nprovider = privacera-policysync\n")[0].bodies


def test_an_input_knows_its_format_and_routes(load_text: LoadText) -> None:
    (found,) = load_text(
        f"{MINIMAL}provider = immuta\nmax_event_bytes = 1000\nbucket = aaa\nexclude = *.tmp\n"
    )
    assert (found.format.max_event_bytes, found.format.time_fields[0]) == (1000, "eventTimestamp")
    assert found.route("x/.immuta.export.log").drop
    assert found.route("x.tmp").drop
    assert found.route("x.json").sourcetype == "immuta:uam"


def test_lists_are_parted_by_commas_and_told_once(load_text: LoadText) -> None:
    settings = load_text(f"{MINIMAL}bucket = aaa, arn:aws:s3:::bbb,, aaa\noutput = stdout, stdout\n")[
        0
    ].settings
    assert (settings.bucket, settings.output) == (("aaa", "bbb"), ("stdout",))


# What does not go together


@pytest.mark.parametrize(
    ("text", "value"), [("true", "on"), ("0", "off"), ("Off", "off"), ("auto", "auto"), ("yes", "on")]
)
def test_on_and_off_may_be_spelt_as_truth_is(text: str, value: str, load_text: LoadText) -> None:
    (found,) = load_text(f"{MINIMAL}hec_gzip = {text}\n")
    assert found.settings.hec_gzip == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("output = hec\nhec_token = env:HOME", "needs hec_url"),
        ("hec_url = https://s.example.com", "needs hec_token"),
        ("output = splunkd", "only as Splunk's modular input"),
        ("aws_access_key_id = AKIAIOSFODNN7EXAMPLE", "without aws_secret_access_key"),
        ("aws_secret_access_key = env:HOME", "without aws_access_key_id"),
        ("aws_session_token = env:HOME", "without aws_access_key_id"),
        (
            "aws_access_key_id = ASIAIOSFODNN7EXAMPLE\naws_secret_access_key = env:HOME",
            "aws_session_token is missing",
        ),
        ("aws_access_key_id = A\naws_secret_access_key = env:HOME\naws_profile = p", "both set"),
        ("external_id = abc", "without role_arn"),
        ("queue_region = us-east-1", "queue_url is in eu-west-1"),
        ("use_fips_endpoint = true\nendpoint_url = http://127.0.0.1:1", "use_fips_endpoint"),
        ("checkpoint_store = dynamodb", "needs checkpoint_table"),
        ("aws_ca_file = /nowhere.pem", "does not exist"),
        ("start_from = yesterday", "ISO time"),
        ("routes = *", "the rule for *"),
        ("workers = many", "1 to 256"),
        ("batch_linger_seconds = nan", "0 to 60 seconds"),
        ("role_duration_seconds = 43201", "900 to 43200 seconds"),
        ("wait_time_seconds = 21", "0 to 20 seconds"),
        ("max_number_of_messages = 11", "1 to 10"),
        ("hec_tls_verify = maybe", "true or false"),
        ("hec_gzip = maybe", "auto, on, off"),
    ],
)
def test_what_cannot_be_is_said_with_where_and_a_way_out(text: str, words: str, load_text: LoadText) -> None:
    found = only_problem(f"{MINIMAL}{text}\n", load_text)
    assert words in found
    assert "audit-s3.conf:" in found
    assert " - " in found


def test_a_queue_name_without_a_region_is_an_error(load_text: LoadText) -> None:
    assert "queue_region" in only_problem("[audit_s3://a]\nqueue_url = q\n", load_text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hec_tls_verify = false", "hec_tls_verify"),
        ("s3_endpoint_url = http://minio.example.com:9000", "without TLS"),
        ("sns_signature = off\nsns_topic_arn = arn:aws:sns:eu-west-1:111111111111:t", "no effect"),
        ("prefix = /logs", "slash"),
        ("provider = cloudtrail", "none is set"),
    ],
)
def test_what_is_allowed_but_odd_is_a_warning(text: str, words: str, load_text: LoadText) -> None:
    assert any(words in warning for warning in load_text(f"{MINIMAL}{text}\n")[0].warnings)


# Under splunkd


def stanza(mapping: Dict[str, str], **options: object) -> Input:
    return from_stanza("audit_s3://thrive", {"queue_url": QUEUE, **mapping}, environ={}, **options)  # type: ignore[arg-type]


def test_a_stanza_of_splunkd_becomes_an_input_that_writes_to_splunkd() -> None:
    found = stanza({"interval": "60", "index": "default", "python.version": "python3", "prefix": ""})
    assert (found.name, found.settings.output, found.settings.index) == ("thrive", ("splunkd",), "")
    assert found.sources["queue_url"] == "inputs.conf [audit_s3://thrive]"


def test_what_splunkd_fills_in_by_itself_is_not_set() -> None:
    found = stanza(
        {"host": "search-1", "_rcvbuf": "1", "evt_dc_name": "", "sourcetype": ""}, server_host="search-1"
    )
    assert (found.settings.host, found.settings.sourcetype) == ("", "")
    assert stanza({"host": "$decideOnStartup"}).settings.host == ""
    assert stanza({"host": "mine"}, server_host="search-1").settings.host == "mine"


def test_stored_secrets_win_over_stars_and_bring_no_warning() -> None:
    mapping = {"output": "hec", "hec_url": "https://s.example.com", "hec_token": "********"}
    found = stanza(mapping, secrets={"hec_token": "stored"})
    assert found.settings.hec_token.reveal() == "stored"
    assert found.sources["hec_token"] == "storage/passwords"
    assert found.warnings == ()


def test_stars_alone_are_no_secret() -> None:
    with pytest.raises(ConfigError, match="needs hec_token"):
        stanza({"output": "hec", "hec_url": "https://s.example.com", "hec_token": "********"})


def test_splunkds_checkpoint_directory_is_used_unless_one_is_set() -> None:
    assert stanza({}, checkpoint_dir="/splunk/modinputs").settings.checkpoint_dir == "/splunk/modinputs"
    assert stanza({"checkpoint_dir": "/own"}, checkpoint_dir="/splunk").settings.checkpoint_dir == "/own"


@pytest.mark.parametrize(("key", "value"), [("output", "stdout"), ("processes", "2"), ("qeue_url", "x")])
def test_what_cannot_be_under_splunkd_is_an_error(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"inputs\.conf \[audit_s3://thrive\]"):
        stanza({key: value})


def test_hec_url_alone_does_not_change_the_output_under_splunkd() -> None:
    assert stanza({"hec_url": "https://s.example.com"}).settings.output == ("splunkd",)


@pytest.mark.parametrize(
    ("queue", "region", "is_told"),
    [("audit-queue", "us-east-1", True), ("audit-queue", "us-west-2", False), (QUEUE, "eu-west-1", False)],
)
def test_a_queue_region_that_is_not_the_keys_is_a_warning(
    load_text: LoadText, queue: str, region: str, is_told: bool
) -> None:
    lines = f"role_arn = {ROLE}\nkms_key_arn = {KEY}\nbucket = audits\nqueue_region = {region}\n"
    (found,) = load_text(f"[audit_s3://thrive]\nqueue_url = {queue}\n{lines}")
    assert any("but kms_key_arn is in us-west-2" in warning for warning in found.warnings) == is_told


@pytest.mark.parametrize(
    ("mode", "told"), [(0o604, "read"), (0o602, "write"), (0o666, "read and write"), (0o640, "")]
)
def test_what_all_may_do_to_the_file_of_a_secret_is_said(
    load_text: LoadText, tmp_path: Path, mode: int, told: str
) -> None:
    secret = tmp_path / "token"
    secret.write_text("x")
    secret.chmod(mode)
    url = "https://splunk.example.com:8088"
    (found,) = load_text(f"{MINIMAL}output = hec\nhec_url = {url}\nhec_token = file:{secret}\n")
    said = [warning for warning in found.warnings if "all users here" in warning]
    assert [f"all users here may {told} file:" in warning for warning in said] == ([True] if told else [])


@pytest.mark.parametrize(
    "header", ["audit_s3://thrive]", "[audit_s3:/thrive]", "(audit_s3://thrive)"]
)
def test_a_broken_header_is_told_once_and_not_as_what_it_hides(load_text: LoadText, header: str) -> None:
    found = problems_of(f"{header}\nqueue_url = {QUEUE}\n", load_text)
    assert found and not any("neither queue_url nor bucket" in problem for problem in found)


@pytest.mark.parametrize(
    ("name", "is_told"), [("Acme_Audit", True), ("acme.audit-1", False), ("a" * 64, True), ("acme-", True)]
)
def test_a_bucket_whose_name_s3_no_longer_gives_is_a_warning(
    load_text: LoadText, name: str, is_told: bool
) -> None:
    (found,) = load_text(f"{MINIMAL}bucket = {name}\n")
    assert any(f"bucket = {name} is no name" in warning for warning in found.warnings) == is_told
