"""Secrets come from storage/passwords over TLS, and stay out of everything that is shown."""

from __future__ import annotations

import ssl

import pytest

from collector.errors import Fatal, Retry
from collector.hosts.splunkd.definition import parse_run
from collector.hosts.splunkd.rest import REALM, SecretStore, stored_settings, tls_context
from collector.hosts.splunkd.upkeep import put_away, server_roles
from collector.testing.fake_splunkd import FakeSplunkd


def _stored(splunkd: FakeSplunkd, settings: dict[str, str]) -> dict[str, str]:
    store = SecretStore(splunkd.server_uri, splunkd.session_key)
    return stored_settings(settings, input_name="thrive", store=store)


@pytest.mark.parametrize("gap", ["", "  ", "********"])
def test_an_empty_or_masked_secret_is_the_inputs_own_stored_one(splunkd: FakeSplunkd, gap: str) -> None:
    splunkd.store(REALM, "thrive:hec_token", "the <token> & more: é")
    splunkd.store(REALM, "other:hec_token", "another input's")
    splunkd.store("another_app", "thrive:hec_token", "another app's")
    assert _stored(splunkd, {"hec_token": gap})["hec_token"] == "the <token> & more: é"


def test_an_account_brings_the_key_id_and_the_external_id_along(splunkd: FakeSplunkd) -> None:
    splunkd.store(
        REALM, "shared", '{"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s3cr3t", "external_id": "e"}'
    )
    assert _stored(splunkd, {"aws_secret_access_key": "storage:shared", "bucket": "b"}) == {
        "aws_secret_access_key": "s3cr3t",
        "aws_access_key_id": "AKIAEXAMPLE",
        "external_id": "e",
    }


def test_an_account_never_replaces_what_the_input_says(splunkd: FakeSplunkd) -> None:
    splunkd.store(REALM, "thrive", '{"access_key_id": "AKIASTORED", "secret_access_key": "stored"}')
    said = {"aws_access_key_id": "AKIASAID", "aws_secret_access_key": ""}
    assert _stored(splunkd, said) == {"aws_secret_access_key": "stored"}


def test_a_plain_password_can_be_named_too(splunkd: FakeSplunkd) -> None:
    splunkd.store(REALM, "hec", "t0ken")
    assert _stored(splunkd, {"hec_token": "storage:hec"})["hec_token"] == "t0ken"


def test_secrets_that_are_all_said_ask_splunkd_nothing(splunkd: FakeSplunkd) -> None:
    said = {"aws_secret_access_key": "a", "aws_session_token": "b", "hec_token": "env:TOKEN"}
    assert _stored(splunkd, said) == {}
    assert splunkd.requests == []


def test_many_stored_passwords_are_one_request(splunkd: FakeSplunkd) -> None:
    for number in range(100):
        splunkd.store(REALM, f"input-{number}:hec_token", f"token-{number}")
    store = SecretStore(splunkd.server_uri, splunkd.session_key)
    assert store.password("input-99:hec_token") == "token-99"
    assert store.password("input-7:hec_token") == "token-7"
    assert len(splunkd.requests) == 1


def test_an_empty_secret_may_be_missing(splunkd: FakeSplunkd) -> None:
    assert _stored(splunkd, {"bucket": "b", "hec_token": ""}) == {}


@pytest.mark.parametrize(
    ("value", "wanted"), [("********", "thrive:hec_token"), ("storage:nowhere", "nowhere")]
)
def test_a_masked_or_named_secret_must_be_there(splunkd: FakeSplunkd, value: str, wanted: str) -> None:
    with pytest.raises(Fatal) as caught:
        _stored(splunkd, {"hec_token": value})
    assert caught.value.code == "secret_missing"
    assert wanted in caught.value.where


def test_a_malformed_account_is_refused_without_showing_it(splunkd: FakeSplunkd) -> None:
    splunkd.store(REALM, "shared", '{"secret_access_key": "s3cr3t"')
    with pytest.raises(Fatal) as caught:
        _stored(splunkd, {"aws_secret_access_key": "storage:shared"})
    assert caught.value.code == "secret_malformed"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, Retry, "splunkd_session_expired"),
        (403, Fatal, "splunkd_denied"),
        (404, Fatal, "splunkd_refused"),
        (429, Retry, "splunkd_busy"),
        (503, Retry, "splunkd_busy"),
    ],
)
def test_each_refusal_of_splunkd_has_its_fate(
    splunkd: FakeSplunkd, status: int, kind: type, code: str
) -> None:
    splunkd.fail_with = status
    with pytest.raises(kind) as caught:
        _stored(splunkd, {"hec_token": ""})
    assert caught.value.code == code


def test_a_foreign_session_key_is_told_apart(splunkd: FakeSplunkd) -> None:
    with pytest.raises(Retry) as caught:
        SecretStore(splunkd.server_uri, "expired").password("x")
    assert caught.value.code == "splunkd_session_expired"


def test_a_splunkd_that_is_away_is_a_retry(splunkd: FakeSplunkd) -> None:
    store = SecretStore("https://127.0.0.1:1", splunkd.session_key)
    with pytest.raises(Retry) as caught:
        store.password("x")
    assert caught.value.code == "splunkd_unreachable"


def test_a_definition_shows_neither_settings_nor_session_key(run_document) -> None:
    definition = parse_run(run_document("thrive", {"hec_token": "t0ken"}))
    assert definition.settings == {"hec_token": "t0ken"}
    assert "t0ken" not in repr(definition)
    assert definition.session_key not in repr(definition)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_splunkd_on_this_host_needs_no_known_certificate(host: str) -> None:
    assert tls_context(host).verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("host", ["splunk.example.com", "10.0.0.1", "127.0.0.1.example.com"])
def test_splunkd_elsewhere_must_prove_who_it_is(host: str) -> None:
    context = tls_context(host)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# Plain secrets put themselves away


def _put_away(splunkd: FakeSplunkd, name: str = "thrive") -> dict[str, str]:
    return put_away(
        splunkd.inputs.effective(name), stanza=f"audit_s3://{name}", app=splunkd.app,
        server_uri=splunkd.server_uri, session_key=splunkd.session_key,
    )


def test_a_plain_secret_is_stored_under_its_input_and_masked_in_its_stanza(splunkd: FakeSplunkd) -> None:
    splunkd.inputs.stanzas["thrive"] = {"bucket": "b", "hec_token": " t0ken ", "aws_session_token": "env:T"}
    assert _put_away(splunkd) == {"bucket": "b", "hec_token": "********", "aws_session_token": "env:T"}
    assert splunkd.inputs.stanzas["thrive"] == _put_away(splunkd)
    assert splunkd.passwords == {(REALM, "thrive:hec_token"): "t0ken"}
    assert _stored(splunkd, splunkd.inputs.stanzas["thrive"])["hec_token"] == "t0ken"


@pytest.mark.parametrize("value", ["", "********", "file:/x", "env:X", "credential:x", "storage:shared"])
def test_what_is_no_plain_secret_asks_and_changes_nothing(splunkd: FakeSplunkd, value: str) -> None:
    splunkd.inputs.stanzas["thrive"] = {"hec_token": value}
    assert _put_away(splunkd) == {"hec_token": value}
    assert splunkd.requests == []


def test_a_plain_value_that_is_pushed_again_replaces_the_stored_one_and_is_masked_again(
    splunkd: FakeSplunkd,
) -> None:
    for pushed in ("first", "second", "second"):
        splunkd.inputs.stanzas["thrive"] = {"hec_token": pushed}
        assert _put_away(splunkd) == {"hec_token": "********"}
        assert splunkd.passwords == {(REALM, "thrive:hec_token"): pushed}
        assert splunkd.inputs.stanzas["thrive"] == {"hec_token": "********"}


def test_an_input_that_is_handed_its_plain_value_once_more_writes_the_file_only_once(
    splunkd: FakeSplunkd,
) -> None:
    splunkd.inputs.stanzas["thrive"] = {"hec_token": "t0ken"}
    handed = splunkd.inputs.effective("thrive")
    for _ in range(3):
        put_away(
            handed, stanza="audit_s3://thrive", app=splunkd.app, server_uri=splunkd.server_uri,
            session_key=splunkd.session_key,
        )
    assert splunkd.inputs.written == [("thrive", "hec_token", "********")]
    assert [method for method, path in splunkd.requests if "conf-inputs" in path].count("POST") == 1


def test_a_file_that_outranks_ours_is_told_of_and_the_secret_is_used_all_the_same(
    splunkd: FakeSplunkd, caplog: pytest.LogCaptureFixture
) -> None:
    splunkd.inputs.stanzas["thrive"] = {"hec_token": "t0ken"}
    splunkd.inputs.outranking["thrive"] = {"hec_token": "t0ken"}
    assert _put_away(splunkd) == {"hec_token": "********"}
    assert _stored(splunkd, {"hec_token": "********"})["hec_token"] == "t0ken"
    assert "hec_token: stored, but a file that outranks" in caplog.text
    assert "t0ken," not in caplog.text.replace("hec_token", "")


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_secret_that_cannot_be_stored_stays_as_it_is_with_a_warning(
    splunkd: FakeSplunkd, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    splunkd.inputs.stanzas["thrive"] = {"hec_token": "s3cr3t"}
    splunkd.fail_with = status
    assert _put_away(splunkd) == {"hec_token": "s3cr3t"}
    assert "hec_token stays in inputs.conf in plain text" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_what_splunkd_is_it_says_itself(splunkd: FakeSplunkd) -> None:
    splunkd.server_roles = ["search_head", "shc_member"]
    assert server_roles(splunkd.server_uri, splunkd.session_key) == {"search_head", "shc_member"}
    splunkd.fail_with = 403
    assert server_roles(splunkd.server_uri, splunkd.session_key) == frozenset()
    assert server_roles("", "") == frozenset()
