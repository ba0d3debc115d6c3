"""AWS asked with the base credentials alone, before there is an input: for its file, or for who we are."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from collector.config import Input
from collector.config.derive import REGION_VARIABLES
from collector.config.settings import Settings

if TYPE_CHECKING:
    from collector.aws.session import AwsSession

__all__ = ["base_session"]

#: Asked where no region is set. Any would do: STS answers alike in each, and S3 names the bucket's own.
_SOME_REGION = "us-east-1"


def base_session(settings: Settings) -> AwsSession:
    """A session of no role, by what flags and environment say, else by boto3's own chain."""
    from collector.aws.session import AwsSession
    from collector.runtime.adapters import access_of

    access = access_of(Input("default", settings, sources={}), role_arn="")
    known = (settings.region, *(os.environ.get(name) for name in REGION_VARIABLES), _SOME_REGION)
    return AwsSession(replace(access, region=next(filter(None, known))))
