"""Okera's own form of a configuration, so that a file that Okera read can be read here as it is.

    {"s3Region": "us-west-2", "sqsRegion": "us-east-1", "sqsUrl": "https://sqs.us-east-1.amazonaws.com/..."}

It makes one input, "default", of the provider `cloudtrail`. Okera reads whatever bucket a message names;
here a message is not trusted with that, so `bucket` must be said: as one more name in the object, where
every setting may stand under its own name, by --bucket, or by AUDIT_S3_BUCKET.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

from collector.config.layers import Given, Layer, did_you_mean
from collector.config.problems import Problems
from collector.config.settings import SETTINGS

__all__ = ["NO_BUCKET", "is_okera", "okera_layer"]

NO_BUCKET = (
    'Okera reads any bucket that a message names; here say which: "bucket": "NAME" in the file, --bucket or '
    "AUDIT_S3_BUCKET"
)

_NAMES = {"s3Region": "bucket_region", "sqsRegion": "queue_region", "sqsUrl": "queue_url"}


def is_okera(text: str) -> bool:
    """No conf file begins with a brace."""
    return text.lstrip().startswith("{")


def okera_layer(text: str, path: str, problems: Problems) -> Layer:
    """The settings of one input, each under its own name. What is not well-formed ends the judging."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        problems.add(
            f"it begins like JSON and is none: {error}", where=path, code="config_malformed",
            hint='{"s3Region": "...", "sqsRegion": "...", "sqsUrl": "..."}, or the lines of a conf file',
        )
        problems.raise_any()
    layer: Dict[str, Given] = {"provider": Given("cloudtrail", f"{path} (Okera's form)")}
    for key, value in found.items():
        name, where = _NAMES.get(key, key), f"{path} {key}"
        if name not in SETTINGS:
            problems.add(f"{key} is not a setting", where=where, hint=did_you_mean(key))
        elif not isinstance(value, (str, int, float)):
            problems.add(f"{key} is neither text nor a number", where=where)
        else:
            layer[name] = Given(_text(value), where)
    if "sqsUrl" not in found and "queue_url" not in found:
        problems.add("sqsUrl is missing", where=path, hint="the URL of the queue that is told of new files")
    return layer


def _once(pairs: List[Any]) -> Dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]} stands in it twice")
    return dict(pairs)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
