"""Secrets come from storage/passwords over TLS, and stay out of everything that is shown."""

from __future__ import annotations

import ssl

import pytest

from collector.errors import Fatal, Retry
from collector.hosts.modular_input import parse_run
from collector.hosts.splunkd_rest import REALM, SecretStore, stored_settings, tls_context
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
