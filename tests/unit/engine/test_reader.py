"""What the Reader does without an engine around it."""

from __future__ import annotations

import pytest

from collector.config.routes import Route
from collector.engine.items import Item
from collector.engine.opener import Labels, Opener
from collector.engine.reader import Read, Reader
from collector.errors import Poison
from collector.model import ObjectRef


def test_an_object_named_to_an_input_without_buckets_is_foreign():
    item = Item(ObjectRef("not-ours", "k", etag="e"), None, Route(), 0.0, url="s3://not-ours/k")
    with pytest.raises(Poison, match="foreign_bucket"):
        Reader(Opener(None, lambda chunks, route: iter(()), Labels())).perform(Read(item, None, True))
