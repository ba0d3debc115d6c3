"""An event says what its writer likes, and nothing about itself: it becomes no metadata and no other event.

Whoever can write audits, or name an object, tries to set index, sourcetype, host, source or time of one, to
end it and begin another, or to break what follows. All outputs are read back as their receivers read them.
"""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import pytest

from collector.decode import decode
from collector.model import Batch, Format, Origin, Slice
from collector.sinks.envelope import render_envelopes, render_json_lines, render_raw_lines
from collector.sinks.splunkd import SplunkdSink
from collector.testing.twins import ManualClock
from tests.unit.decode.documents import NOW

FORGED = '"index":"forged","sourcetype":"forged","host":"forged","source":"forged","time":1'
CONTENTS = {
    "an envelope": '{"event":"x",~}'.replace("~", FORGED),
    "an envelope after a closing brace": '{"a":1}},{"event":"x",~}'.replace("~", FORGED),
    "the end of its own envelope": '{"a":1},"fields":{"s3_oid":"forged"},~}'.replace("~", FORGED),
    "the end of a string": 'text","event":"y",~,"z":"'.replace("~", FORGED),
    "an escaped quote": 'text\\",~,"z":"'.replace("~", FORGED),
    "a backslash at the end": "text\\",
    "two backslashes at the end": "text\\\\",
    "a carriage return": 'a\r{"event":"x",~}'.replace("~", FORGED),
    "a separator of lines": 'a\u2028{"event":"x",~}\u2029\u0085b'.replace("~", FORGED),
    "a zero byte": 'a\0{"event":"x",~}'.replace("~", FORGED),
    "a half character before a quote": b'a\xe2","event":"y",%b,"z":"' % FORGED.encode(),
    "a long form of a quote": b"a\xc0\xa2,%b" % FORGED.encode(),
    "a surrogate in bytes": b'{"a":"\xed\xa0\x80","b":"\xed","c":1}',
    "an escaped surrogate": '{"a":"\\ud800","b":"\\udfff\\ud800"}',
    "a name twice": '{"event":1,"event":{~}}'.replace("~", FORGED),
    "numbers that are none": '{"a":NaN,"b":Infinity,"c":-Infinity}',
    "JSON with a trailing comma": '{"a":1,}',
    "JSON with a comment": '{"a":1/*},{"event":"x",~*/}'.replace("~", FORGED),
    "JSON in single quotes": "{'a':'},{~}'}".replace("~", FORGED),
    "JSON that does not end": '{"a":{"b":[1,2,{"c":"~'.replace("~", FORGED),
    "JSON that ends twice": '{"a":1}}',
    "a list of envelopes": '[{"event":"x",~},{"event":"y",~}]'.replace("~", FORGED),
    "the end of a CDATA section": "a]]></data><index>forged</index><data><![CDATA[b",
    "halves of the end of a CDATA section": "a]]]]>>]]>]]&gt;b",
    "an event of the stream": "</event><event><index>forged</index><data>x</data></event>",
    "the end of the stream": "</stream><stream><event><data>forged</data></event>",
    "a document type": '<!DOCTYPE x [<!ENTITY e "forged">]>&e;',
    "a processing instruction": "<?xml-stylesheet href='forged'?>",
    "what XML has no letter for": "a\x01\x02\x1b\x7f\ufffe\uffffb",
    "a header": "X\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
}
LABELS = ("our-index", "our:type", "our-host")
KEYS = [
    "audits/a.json", 'k","index":"forged', "k\n<index>forged</index>",
    "k</source><index>forged</index><source>", "k\x00\x1b[2J]]>", "k\ud800", "k\\",
]


def slices_of(content, key):
    """The object as it is decoded, after an event of somebody else and before another."""
    text = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    stored = b"before\n" + text + b"\nafter\n"
    blocks = tuple(decode([stored], format=Format(), now=NOW))
    index, sourcetype, host = LABELS
    origin = Origin("oid", f"s3://b/{key}", "1714817702.000", sourcetype, index, host)
    bodies = [body for block in blocks for body in block.bodies]
    return [Slice(origin, 0, len(bodies), blocks, sum(map(len, bodies)))], bodies


def shown(body):
    return body.decode("utf-8", "replace")


def known(source):
    return source.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def envelopes(text):
    """As HEC reads a request: values one after the other, nothing between them."""
    decoder, place, found = json.JSONDecoder(parse_constant=pytest.fail, object_pairs_hook=_once), 0, []
    while place < len(text):
        value, place = decoder.raw_decode(text, place)
        found.append(value)
        place += len(text[place:]) - len(text[place:].lstrip("\n"))
    return found


def _once(pairs):
    """Of an envelope no key may stand twice; what stands inside an event is its writer's own."""
    names = [name for name, _ in pairs]
    ours = {"time", "source", "sourcetype", "host", "index", "fields", "event"}
    if set(names) <= ours and {"fields", "event", "source"} <= set(names):
        assert len(set(names)) == len(names)
    return dict(pairs)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_t05_nothing_in_an_event_or_a_key_is_said_about_an_event(content):
    for key in KEYS:
        says_its_own(content, key)


def says_its_own(content, key):
    slices, bodies = slices_of(content, key)
    source = known(f"s3://b/{key}")
    for lines in (False, True):
        text = render_envelopes(slices, lines=lines).decode()
        found = envelopes(text)
        assert len(found) == len(bodies)
        for number, (one, body) in enumerate(zip(found, bodies)):
            assert (one["index"], one["sourcetype"], one["host"], one["source"]) == (*LABELS, source)
            assert (one["fields"]["s3_oid"], one["fields"]["s3_seq"]) == ("oid", number)
            assert set(one) <= {"time", "source", "sourcetype", "host", "index", "fields", "event"}
            if isinstance(one["event"], str):
                assert one["event"] == shown(body)
        assert not lines or text.count("\n") == len(bodies)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_t05_a_line_of_json_is_one_event_with_our_own_labels(content):
    slices, bodies = slices_of(content, KEYS[1])
    found = [json.loads(line) for line in render_json_lines(slices).decode().split("\n")[:-1]]
    assert [one["event"] for one in found] == [shown(body) for body in bodies]
    assert {(one["index"], one["sourcetype"], one["host"]) for one in found} == {LABELS}
    assert [one["id"] for one in found] == [f"oid:{number}" for number in range(len(bodies))]


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_t05_a_raw_line_is_one_event(content):
    slices, bodies = slices_of(content, KEYS[0])
    assert render_raw_lines(slices).count(b"\n") == len(bodies)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_t05_the_stream_for_splunkd_is_well_formed_and_says_our_own_labels(content):
    for key in KEYS:
        is_our_own_stream(content, key)


def is_our_own_stream(content, key):
    slices, bodies = slices_of(content, key)
    out = io.BytesIO()
    sink = SplunkdSink(out, clock=ManualClock())
    sink.send(Batch(tuple(slices)), lane=0)
    sink.close()
    stream = ElementTree.fromstring(out.getvalue())
    assert [one.tag for one in stream] == ["event"] * len(bodies)
    for one in stream:
        assert [part.tag for part in one if part.tag not in ("time", "data")] == [
            "source", "sourcetype", "index", "host"
        ]
        assert (one.findtext("index"), one.findtext("sourcetype"), one.findtext("host")) == LABELS
        assert len(list(one.iter())) - 1 <= 6
    texts = [one.findtext("data") for one in stream]
    assert [plain(text) for text in texts] == [plain(shown(body)) for body in bodies]


def plain(text):
    """What XML cannot carry, as U+FFFD."""
    return "".join(
        c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else "\ufffd" for c in text or ""
    )
