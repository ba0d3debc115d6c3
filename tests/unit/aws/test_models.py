"""The quicker loader finds and reads what botocore's own does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import create_loader

from collector.aws.models import loader


@pytest.fixture(scope="module")
def botocores() -> Any:
    return create_loader(None)


@pytest.fixture(scope="module")
def ours() -> Any:
    """One that no client has had in hand: botocore changes the models that it was given."""
    return loader.__wrapped__(None)


@pytest.mark.parametrize("service", ["cloudtrail", "dynamodb", "kms", "s3", "sqs", "sts"])
def test_a_service_is_read_as_botocore_reads_it(
    service: str, ours: Any, botocores: Any
) -> None:
    for kind in ("service-2", "endpoint-rule-set-1"):
        read, theirs = (one.load_service_model(service, kind) for one in (ours, botocores))
        assert json.dumps(read) == json.dumps(theirs)  # in the same order, too


def test_what_belongs_to_no_service_is_read_too(ours: Any, botocores: Any) -> None:
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        assert ours.load_data(name) == botocores.load_data(name)


def test_models_of_a_folder_of_ones_own_are_found_first(tmp_path: Path) -> None:
    place = tmp_path / "sqs" / "2099-01-01"
    place.mkdir(parents=True)
    (place / "service-2.json").write_text('{"metadata": {"mine": true}}')
    assert loader(str(tmp_path)).load_service_model("sqs", "service-2") == {"metadata": {"mine": True}}


def test_an_unknown_service_and_one_without_that_model_are_refused_as_botocore_does(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(UnknownServiceError):
        loader(None).load_service_model("no-such-service", "service-2")
    with pytest.raises(DataNotFoundError):
        loader(str(tmp_path)).load_service_model("bare", "service-2")
