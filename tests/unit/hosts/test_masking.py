"""What --mask takes out of a text, what it leaves, and that no text takes it long."""

from __future__ import annotations

import json
import time

import pytest

from collector.hosts.dry_run.masking import cleaner, mask_line, walk

CLEAN = cleaner(["hunter22"], mask=True)
STARS = "********"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=abc, x", f"password={STARS}, x"),
        (r'{\"secretKey\": \"zzz\", \"b\":1}', rf'{{\"secretKey\": \"{STARS}\", \"b\":1}}'),
        ("token: 'a b'", f"token: '{STARS}'"),
        ("from 10.1.2.3 and fe80::1", f"from {STARS} and {STARS}"),
        ("Bearer abc.def", f"Bearer {STARS}"),
        ("Authorization: Basic Zm9vOmJhcg==", f"Authorization: {STARS} {STARS}"),
        ("joe@example.com did", f"{STARS} did"),
        ("key AKIAIOSFODNN7EXAMPLE", f"key {STARS}"),
        ("https://u:p@host/x", f"https://{STARS}@host/x"),
        ("eyJhbGciOiJI.eyJzdWIiOi.sig", STARS),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----.", f"{STARS}."),
        ("it was hunter22", f"it was {STARS}"),
    ],
)
def test_what_looks_like_a_secret_or_an_address_is_masked(text: str, masked: str) -> None:
    assert CLEAN(text) == masked


@pytest.mark.parametrize(
    "text",
    ["2026-05-04T10:15:02.412Z", "at 10:15:02", "v1.2.3", "s3://bucket/a/b.json.gz", "a@b", "1777889702.5"],
)
def test_times_versions_and_keys_are_left(text: str) -> None:
    assert CLEAN(text) == text


def test_json_stays_json_and_is_masked_by_its_names() -> None:
    line = b'{"event":{"password":{"deep":"a"},"empty":"","secret":"","n":5,"tokens":[1]},"time":1777.25}'
    assert json.loads(mask_line(line, CLEAN)) == {
        "event": {"password": STARS, "empty": "", "secret": "", "n": 5, "tokens": STARS}, "time": 1777.25,
    }


def test_without_mask_only_our_own_secrets_are() -> None:
    clean = cleaner(["hunter22"], mask=False)
    assert walk({"a": "hunter22 joe@example.com"}, clean, names=False) == {"a": f"{STARS} joe@example.com"}


@pytest.mark.parametrize(
    "piece",
    ["a", "secret", "eyJ-", ":", "a@", "-----BEGIN PRIVATE KEY-----", "1.1.", "secret ", "Bearer ", "pass."],
)
def test_no_text_takes_longer_than_its_length_asks(piece: str) -> None:
    began = time.process_time()
    CLEAN(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 2.0
