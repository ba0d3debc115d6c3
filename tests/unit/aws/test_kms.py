"""Data keys: which KMS key is asked, how often, and what its refusals mean."""

from __future__ import annotations

import logging
from typing import Any, Dict, List

import pytest

from collector.aws.client_side_envelope import GCM, Envelope
from collector.aws.kms import DataKeys
from collector.errors import CollectorError, Fatal, Poison, Retry
from tests.client_side import ARN, OTHER_ARN, MemoryKms

KEY = bytes(range(32))
CONTEXT = {"aws:x-amz-cek-alg": GCM, "department": "audit"}
THIRD_ARN = ARN.replace("1234", "9999")


class Regions:
    """A KMS of three keys behind clients of any region; `asked` are those regions."""

    def __init__(self) -> None:
        self.kms = MemoryKms(ARN, OTHER_ARN, THIRD_ARN)
        self.asked: List[str] = []

    def __call__(self, region: str) -> MemoryKms:
        self.asked.append(region)
        return self.kms

    def envelope(self, arn: str = ARN, **context: str) -> Envelope:
        pairs = {**CONTEXT, **context}
        return Envelope(GCM, self.kms.wrap(KEY, pairs, arn=arn), pairs)

    @property
    def keys_asked(self) -> List[str]:
        asked = [request["KeyId"] for request in self.kms.requests]
        self.kms.requests.clear()
        return asked


@pytest.fixture
def regions() -> Regions:
    return Regions()


def refusal(keys: DataKeys, envelope: Envelope) -> CollectorError:
    with pytest.raises(CollectorError) as caught:
        keys.open(envelope, where="s3://b/k")
    assert caught.value.where == "s3://b/k"
    return caught.value


def test_the_allowed_key_is_named_in_its_own_region_with_the_stored_context(regions: Regions) -> None:
    keys = DataKeys(regions, allowed=[OTHER_ARN], region="eu-west-1")
    assert keys.open(regions.envelope(OTHER_ARN), where="") == KEY
    assert regions.kms.requests == [{"KeyId": OTHER_ARN, "EncryptionContext": CONTEXT}]
    assert regions.asked == ["us-east-1"]


def test_of_several_keys_each_is_tried_and_the_last_to_fit_comes_first(regions: Regions) -> None:
    keys = DataKeys(regions, allowed=[ARN, THIRD_ARN, OTHER_ARN])
    assert keys.open(regions.envelope(OTHER_ARN), where="") == KEY
    assert regions.keys_asked == [ARN, THIRD_ARN, OTHER_ARN]
    assert keys.open(regions.envelope(OTHER_ARN), where="") == KEY
    assert regions.keys_asked == [OTHER_ARN]


@pytest.mark.parametrize("hint", [THIRD_ARN, THIRD_ARN.rpartition("/")[2]])
def test_the_context_s_own_hint_chooses_among_allowed_keys_only(regions: Regions, hint: str) -> None:
    keys = DataKeys(regions, allowed=[ARN, THIRD_ARN])
    assert keys.open(regions.envelope(THIRD_ARN, kms_cmk_id=hint), where="") == KEY
    assert regions.keys_asked == [THIRD_ARN]
    assert refusal(keys, regions.envelope(OTHER_ARN, kms_cmk_id=OTHER_ARN)).code == "foreign_kms_key"
    assert OTHER_ARN not in regions.keys_asked


def test_a_key_that_is_not_allowed_is_poison_and_says_what_to_do(regions: Regions) -> None:
    error = refusal(DataKeys(regions, allowed=[ARN, THIRD_ARN]), regions.envelope(OTHER_ARN))
    assert (type(error), error.code) == (Poison, "foreign_kms_key")
    assert "kms_key_arn" in error.hint


def test_a_denied_key_hides_no_other_and_is_the_operators_when_none_fits(regions: Regions) -> None:
    regions.kms.refusals[ARN] = "AccessDeniedException"
    keys = DataKeys(regions, allowed=[ARN, THIRD_ARN])
    assert keys.open(regions.envelope(THIRD_ARN), where="") == KEY
    for allowed in ([ARN, THIRD_ARN], [THIRD_ARN, ARN]):
        error = refusal(DataKeys(regions, allowed=allowed), regions.envelope(ARN))
        assert isinstance(error, Fatal)
        assert (error.code, error.scope) == ("kms_denied", "kms")


FATES = [
    ("ThrottlingException", Retry, "throttled"),
    ("KMSInternalException", Retry, "aws_unavailable"),
    ("DisabledException", Fatal, "kms_key_unusable"),
    ("NotFoundException", Fatal, "kms_key_unusable"),
    ("ExpiredTokenException", Retry, "credentials_expired"),
    ("InvalidCiphertextException", Poison, "data_key_refused"),
]


@pytest.mark.parametrize(("code", "kind", "ours"), FATES)
@pytest.mark.parametrize("allowed", [[ARN], []])
def test_every_refusal_of_kms_has_its_fate(
    regions: Regions, code: str, kind: type, ours: str, allowed: List[str]
) -> None:
    regions.kms.refusals[ARN] = code
    error = refusal(DataKeys(regions, allowed=allowed), regions.envelope())
    assert (type(error), error.code) == (kind, ours)


def test_a_throttled_key_is_not_taken_for_another_one(regions: Regions) -> None:
    regions.kms.refusals[ARN] = "ThrottlingException"
    assert isinstance(refusal(DataKeys(regions, allowed=[ARN, THIRD_ARN]), regions.envelope()), Retry)
    assert regions.keys_asked == [ARN]


def test_another_context_opens_nothing(regions: Regions) -> None:
    found = regions.envelope()
    swapped = Envelope(GCM, found.wrapped_key, {**CONTEXT, "department": "other"})
    assert refusal(DataKeys(regions, allowed=[ARN]), swapped).code == "data_key_refused"


def test_a_kms_that_used_another_key_than_asked_is_not_believed(regions: Regions) -> None:
    class Careless(MemoryKms):
        def decrypt(self, **request: Any) -> Dict[str, Any]:
            return {"Plaintext": KEY, "KeyId": OTHER_ARN}

    keys = DataKeys(lambda region: Careless(), allowed=[ARN])
    assert refusal(keys, regions.envelope()).code == "foreign_kms_key"


def test_without_allowed_keys_kms_decides_and_it_is_said_once(
    regions: Regions, caplog: pytest.LogCaptureFixture
) -> None:
    keys = DataKeys(regions, region="eu-west-1")
    for arn in (ARN, OTHER_ARN):
        assert keys.open(regions.envelope(arn), where="") == KEY
    assert regions.keys_asked == [None, None]
    assert regions.asked == ["eu-west-1"] * 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "kms_key_arn" in caplog.text


def test_with_allowed_keys_nothing_is_said(regions: Regions, caplog: pytest.LogCaptureFixture) -> None:
    DataKeys(regions, allowed=[ARN]).open(regions.envelope(), where="")
    assert caplog.records == []


def test_no_key_is_kept(regions: Regions) -> None:
    keys = DataKeys(regions, allowed=[ARN])
    found = regions.envelope()
    for _ in range(3):
        keys.open(found, where="")
    assert len(regions.kms.requests) == 3
    assert KEY not in vars(keys).values()
