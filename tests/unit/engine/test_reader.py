"""What the Reader does without an engine around it."""

from __future__ import annotations

from collector.config.routes import Route
from collector.engine.items import Item
from collector.engine.opener import Labels, Opener
from collector.engine.reader import Read, Reader
from collector.errors import Poison
from collector.model import ObjectRef


def test_an_object_named_to_an_input_without_buckets_is_foreign():
    item = Item(ObjectRef("not-ours", "k", etag="e"), None, Route(), 0.0, url="s3://not-ours/k")
    reader = Reader(Opener(None, lambda chunks, route: iter(()), Labels()))
    [refused] = reader.perform([Read(item, None, True)])
    assert isinstance(refused, Poison) and refused.code == "foreign_bucket"
