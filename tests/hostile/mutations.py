"""Golden bodies and objects, changed: what a stranger, or a bug of somebody else, may make of them."""

from __future__ import annotations

import json
import random

from tests.hostile.world import GOLDEN

__all__ = ["changed", "mutated"]

BODIES = [path.read_bytes().decode() for path in sorted(GOLDEN.parent.glob("notifications/*/body.txt"))]
OBJECTS = [path.read_bytes() for path in sorted(GOLDEN.glob("*/object")) if path.stat().st_size < 20_000]
LETTERS = ['"', "{", "}", "[", "]", "\\", "\0", ",", "\n", "%", " "]
#: JSON values that are not what stood there.
ODD = ["null", "true", "0", "-1", "1e308", "1" + "0" * 50, '""', '"x"', '"\\u0000"', '"\\ud800"', '"%FF"',
       "[]", "{}", "[[]]", "[null]", '"H4sIAAAA"', '"{}"', '{"Records": [{}]}']
NAMES = """Records s3 Type TopicArn Message body messageId detail s3Bucket s3ObjectKey logEvents messageType
awslogs Event files bucket id timestamp message Sns""".split()
JUNK = [
    b"", b"\xff", b"\0", b"\0" * 512, b"}", b"{", b"[", b"]", b",", b'"', b"\n", b"\r\n", b"\\", b"\\ud800",
    b"NaN",
    b"\x1f\x8b", b"PK\x05\x06", b"PAR1", b"ustar", b"\xff\xff\xff\xff", b"\n\t", b"\xef\xbb\xbf", b"\xff\xfe",
    b"version account-id\n", b"eventTime,x\n", b"#Fields: date time\n", b"2024-05-04T10:15:02.000Z ",
]


def mutated(rng: random.Random) -> str:
    """A golden body with values exchanged, names added, letters changed, or glued to another."""
    body = rng.choice(BODIES)
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if document is not None and rng.random() < 0.7:
        for _ in range(rng.randint(1, 4)):
            place = document
            while isinstance(place, (dict, list)) and place and rng.random() < 0.8:
                key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
                if rng.random() < 0.4:
                    place[key] = json.loads(rng.choice(ODD))
                if isinstance(place, dict) and rng.random() < 0.2:
                    place[rng.choice(NAMES)] = json.loads(rng.choice(ODD))
                place = place[key]
        return json.dumps(document)
    letters = list(body)
    for _ in range(rng.randint(0, 5)):
        place = rng.randint(0, len(letters))
        letters[place : place + rng.randint(0, 3)] = rng.choice(LETTERS)
    glued = rng.choice(["", "", rng.choice(BODIES)])
    return "".join(letters) + rng.choice(["", "\n", ","]) + glued


def changed(rng: random.Random) -> bytes:
    """A golden object, or two glued together, with bytes put in, taken out and exchanged."""
    stored = bytearray(rng.choice(OBJECTS) + rng.choice([b"", b"", rng.choice(OBJECTS)]))
    for _ in range(rng.randint(0, 4)):
        place = rng.randint(0, len(stored))
        stored[place : place + rng.choice([0, 1, 4, 40])] = rng.choice(JUNK)
    return bytes(stored)
