"""Receipts as every store keeps them: one text each, found again by the objects that it names."""

from __future__ import annotations

import json
from typing import Dict, Mapping, Sequence

from collector.model import Receipt, Span

__all__ = ["furthest_ends", "receipt", "receipt_text"]


def receipt_text(receipt: Receipt) -> str:
    """JSON, in ASCII: escapes carry what UTF-8 cannot."""
    return json.dumps(
        {
            "output": receipt.output,
            "spans": [[span.oid, span.first, span.end] for span in receipt.spans],
            "sent_at": receipt.sent_at,
            "endpoint": receipt.endpoint,
            "channel": receipt.channel,
            "ack_id": receipt.ack_id,
            "cookies": dict(receipt.cookies),
        }
    )


def receipt(id_: str, text: str) -> Receipt:
    """The saved receipt under the id it was saved by."""
    fields = json.loads(text)
    fields["spans"] = tuple(Span(*span) for span in fields["spans"])
    return Receipt(**fields, id=id_)


def furthest_ends(spans: Sequence[Span]) -> Mapping[str, int]:
    """oid -> the highest end among its spans."""
    ends: Dict[str, int] = {}
    for span in spans:
        ends[span.oid] = max(span.end, ends.get(span.oid, 0))
    return ends
