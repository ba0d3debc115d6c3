"""What each preset makes of its provider's audits: one event each, and the time that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from collector.config.providers import PROVIDERS
from collector.model import CONTAINERS
from tests.unit.decode.documents import rows

FORMATS = Path(__file__).parents[3] / "docs" / "reference" / "decoders.md"
TIME = "1777889702.412"


def times(provider: str, stored: bytes) -> List[Optional[str]]:
    found, code = rows(stored, format=PROVIDERS[provider].format)
    assert code == ""
    return [time for _, time, _, _ in found]


@pytest.mark.parametrize(
    "stored",
    [
        b'{"eventTime":"2026-05-04T10:15:02.412Z"}\n',
        b'[{"timestamp":1777889702412}]',
        b'{"events":[{"ts":1777889702.412}]}',
        b'{"logs":[{"created_at":"2026-05-04 10:15:02.412"}],"next_cursor":null}',
        b'{"createdAt":"2026-05-04T10:15:02.412Z","updatedAt":"2025-01-01T00:00:00Z"}',
        b'{"a":{},"@timestamp":"2026-05-04T10:15:02.412Z"}',
        b"id,Occurred At,action\r\n1,2026-05-04T10:15:02.412Z,login\r\n",
    ],
)
def test_thrive(stored: bytes) -> None:
    assert times("thrive", stored) == [TIME]


def test_cloudtrail() -> None:
    stored = (
        b'{"Records":[{"eventTime":"2026-05-04T10:15:02Z","requestParameters":{"timestamp":1},"time":5}]}'
    )
    assert times("cloudtrail", stored) == ["1777889702"]


@pytest.mark.parametrize("wrapper", ["docs", "audits", "records"])
def test_policysync(wrapper: str) -> None:
    audit = b'{"id":"ps-1","evtTime":"2026-05-04 10:15:02.412","time":"2020-01-01T00:00:00Z","result":1}'
    several = b'{"%s":[%s,%s],"count":2}' % (wrapper.encode(), audit, audit)
    assert times("privacera-policysync", several) == [TIME, TIME], "a time without a zone is UTC"
    assert times("privacera-policysync", b"[%s]" % audit) == [TIME]
    glued = audit + audit.replace(b'"2026-05-04 10:15:02.412"', b"1777889702412")
    assert times("privacera-policysync", glued) == [TIME, TIME]


def test_pgaudit_in_a_file() -> None:
    stored = (
        b'2026-05-04 10:15:02 UTC:[local]:u@d:[1]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"SELECT 1,\n\t2",\n'
    )
    assert times("privacera-pgaudit", stored) == ["1777889702"]


def test_immuta() -> None:
    now = b'{"receivedTimestamp":"2026-05-05T00:00:00Z","eventTimestamp":"2026-05-04T10:15:02.412Z"}\n'
    legacy = b'{"dateTime":1777889702412}\n{"dateTime":"2026-05-04T10:15:02.412Z"}\n'
    assert times("immuta", now + legacy) == [TIME] * 3


def test_every_decoder_is_documented() -> None:
    rows_: List[Tuple[str, ...]] = [tuple(line.split("`")) for line in FORMATS.read_text("utf-8").split("\n")]
    assert {row[1] for row in rows_ if row[0] == "| " and row[1] != "decoder="} == set(CONTAINERS)
