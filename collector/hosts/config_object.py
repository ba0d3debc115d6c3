"""A configuration that lies in S3: `--config s3://bucket/key`.

It is fetched once, at the start, with the base credentials (no role is known yet) that flags, environment
or boto3's own chain give. The bucket's region need not be known: S3's answer tells it.
"""

from __future__ import annotations

from typing import Any, Mapping

from collector.config.load import bare_settings
from collector.config.secret import ReadText, read_text
from collector.config.settings import Settings
from collector.errors import Fatal, Poison
from collector.hosts.base_session import base_session
from collector.model import ObjectRef

__all__ = ["reader"]

SCHEME = "s3://"
MOST_BYTES = 1024 * 1024
_DENIED = frozenset({"object_denied", "list_denied", "kms_denied", "kms_key_unusable"})
_MISSING = frozenset({"gone", "bucket_missing", "bad_key", "bad_parameter", "archived"})


def reader(flags: Mapping[str, Any]) -> ReadText:
    """Reads a configuration by its path, from disk or from S3.

    Fatal "config_missing", "config_denied", "config_malformed" and others that say what stands in the way,
    all of scope "config"; Retry if S3 cannot be reached.
    """

    def read(path: str) -> str:
        return _fetched(path, bare_settings(flags)) if path.startswith(SCHEME) else read_text(path)

    return read


def _fetched(path: str, settings: Settings) -> str:
    bucket, _, key = path[len(SCHEME) :].partition("/")
    if not bucket or not key:
        raise _fatal("it names no object", "config_missing", where=path, hint="write s3://BUCKET/KEY")
    try:
        body = _body(ObjectRef(bucket, key), settings)
    except (Fatal, Poison) as error:
        raise _said(error, path) from error
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"the configuration is not UTF-8 text (byte {error.start})"
        raise _fatal(what, "config_malformed", where=path, hint="save it as UTF-8") from error


def _body(ref: ObjectRef, settings: Settings) -> bytes:
    from collector.aws.s3 import S3Store

    session = base_session(settings)
    region = settings.bucket_region or session.access.region
    store = S3Store(lambda region: session.client("s3", region=region), [ref.bucket], region=region)
    opened = store.open(ref)
    try:
        return _whole(opened, ref.url)
    finally:
        opened.close()


def _whole(opened: Any, url: str) -> bytes:
    body = b""
    while len(body) <= MOST_BYTES:
        chunk = opened.read()
        if not chunk:
            return body
        body += chunk
    raise _fatal("it is larger than 1 MiB", "config_malformed", where=url, hint="is it a configuration?")


def _said(error: Any, path: str) -> Fatal:
    """The same in the words of somebody whose configuration it is."""
    if error.code in _MISSING:
        what, code = f"there is no such configuration: {error.what}", "config_missing"
    elif error.code in _DENIED:
        what, code = f"the configuration may not be read: {error.what}", "config_denied"
    else:
        what, code = error.what, error.code
    hint = error.hint or "put it there, or name another with --config or AUDIT_S3_CONFIG"
    return _fatal(what, code, where=path, hint=hint)


def _fatal(what: str, code: str, *, where: str, hint: str) -> Fatal:
    return Fatal(what, code=code, where=where, hint=hint, scope="config")
