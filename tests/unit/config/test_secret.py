"""Secrets are used and not shown."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields, replace
from pathlib import Path

import pytest

from collector.config.inputs import Input, secrets_of
from collector.config.secret import Secret, mask_userinfo, read_text, resolve
from collector.config.settings import Settings, shown
from collector.config.table import Invalid

CANARY = "c4n4ry-5ecret"


@pytest.mark.parametrize(
    "show", [str, repr, "{}".format, "{!r:>40}".format, lambda s: f"{[s]} { ({'k': s}) }", shown]
)
def test_no_way_of_printing_shows_a_secret(show) -> None:
    assert CANARY not in show(Secret(CANARY))


def test_settings_show_that_a_secret_is_set_and_not_what_it_is() -> None:
    settings = Settings(hec_token=Secret(CANARY), proxy_url=f"http://me:{CANARY}@proxy.example.com:3128")
    assert CANARY not in repr(settings)
    assert "hec_token" in repr(settings)
    assert "proxy.example.com" in repr(settings)


def test_a_secret_cannot_slip_into_json_or_a_join() -> None:
    with pytest.raises(TypeError):
        json.dumps({"token": Secret(CANARY)})
    with pytest.raises(TypeError):
        "".join([Secret(CANARY)])  # type: ignore[list-item]


def test_a_secret_is_equal_by_value_true_when_set_and_survives_a_process() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert not Secret()
    assert pickle.loads(pickle.dumps(Secret(CANARY))).reveal() == CANARY


def test_a_file_gives_its_text_without_the_trailing_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b" with spaces \r\n")
    assert resolve(f"file:{tmp_path}/token", environ={}, read=read_text) == " with spaces "


def test_the_environment_and_systemd_give_values_by_name(tmp_path: Path) -> None:
    (tmp_path / "hec").write_text("from systemd\n")
    environ = {"TOKEN": "from env", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert resolve("env:TOKEN", environ=environ, read=read_text) == "from env"
    assert resolve("credential:hec", environ=environ, read=read_text) == "from systemd"


def test_what_is_no_reference_is_the_value_itself() -> None:
    assert resolve("a:b", environ={}, read=read_text) == "a:b"


@pytest.mark.parametrize(
    "text", ["file:/nowhere/at/all", "env:NOT_SET", "credential:x", "file:", "env:", "credential:"]
)
def test_a_reference_to_nothing_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        resolve(text, environ={}, read=read_text)
    assert caught.value.hint


def test_an_empty_or_binary_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("empty", "binary"):
        with pytest.raises(Invalid, match=name):
            resolve(f"file:{tmp_path}/{name}", environ={}, read=read_text)


def test_passwords_are_cut_out_of_urls() -> None:
    assert mask_userinfo("http://me:pw@host:1/a@b") == "http://********@host:1/a@b"
    assert mask_userinfo("https://host/a@b") == "https://host/a@b"


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(OSError, match="longer than"):
        read_text("/dev/zero")


def test_of_an_input_every_secret_is_hidden_and_what_lets_others_in_as_us_too() -> None:
    typed = [one.name for one in fields(Settings) if isinstance(one.default, Secret)]
    settings = replace(
        Settings(external_id="let-us-in", proxy_url="http://me:p%40ss@proxy.example.com:3128"),
        **{name: Secret(f"value of {name}") for name in typed},
    )
    hidden = secrets_of([Input("a", settings, {}), Input("b", Settings(external_id="222222222222"), {})])
    assert len(typed) >= 3
    assert sorted(hidden) == sorted([*(f"value of {name}" for name in typed), "let-us-in", "p%40ss", "p@ss"])
