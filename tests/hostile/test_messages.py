"""Rows 39, 44 and 45 of docs/formats.md: messages that are not what they should be."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from collector.aws.sns import SnsVerifier
from collector.testing.twins import ManualClock
from tests.hostile.world import BUCKET, World, event_record
from tests.unit.aws.test_sns import CONFIRMATION, FORGER, TOPIC, Host, certificate, envelope, signed, unsigned

ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'


@pytest.fixture
def world():
    return World()


def pointer(bucket, key):
    return ["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": bucket, "s3Key": key}]


def is_kept(world, body, reason):
    """The body is in quarantine byte for byte, its message deleted, and nothing was delivered or fetched."""
    sent = body if isinstance(body, str) else json.dumps(body)
    world.send(sent)
    world.run(60)
    (entry,) = world.quarantined()
    assert (entry.kind, entry.reason, entry.body) == ("body", reason, sent.encode())
    assert (world.bodies(), world.kept.opened, world.is_over()) == ([], [], True)


# -- 39: whose bucket

FOREIGN = {
    "s3": {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": {
        "bucket": {"name": "somebody-elses"}, "object": {"key": "k", "eTag": "0f"}}}]},
    "eventbridge": {"source": "aws.s3", "detail-type": "Object Created", "detail": {
        "bucket": {"name": "somebody-elses"}, "object": {"key": "k"}}},
    "cloudtrail": {"s3Bucket": "somebody-elses", "s3ObjectKey": ["k"]},
    "pointer": pointer("somebody-elses", "k"),
    "alike": {"s3Bucket": f"{BUCKET}.evil.example.com", "s3ObjectKey": ["k"]},
    "in a path": {"s3Bucket": f"somebody-elses/{BUCKET}", "s3ObjectKey": ["k"]},
    "an arn": {"s3Bucket": f"arn:aws:s3:eu-west-1:999999999999:accesspoint/{BUCKET}", "s3ObjectKey": ["k"]},
}


def knows_its_bucket(world):
    """An empty object of ours was told of, which needs no call: the setting is no mistake."""
    world.announce("empty", b"")
    world.run(10)
    return world


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
def test_h39_a_bucket_that_is_not_ours_is_never_asked(world, body):
    is_kept(knows_its_bucket(world), body, "foreign_bucket")


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
def test_h39_as_long_as_ours_was_never_named_it_is_a_mistake_of_the_setting(world, body):
    world.send(body)
    world.run(7200)
    assert (world.queue.depth, world.quarantined(), world.kept.opened) == (1, [], [])
    assert world.ledger.mismatch.breaker.error.code == "wrong_bucket"


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
def test_h39_the_real_adapter_makes_no_call_either(body):
    def built(region):
        raise AssertionError("a client was asked for")

    class NoClient:
        in_region = staticmethod(built)

    is_kept(knows_its_bucket(World(s3=NoClient())), body, "foreign_bucket")


def test_h39_beside_a_foreign_one_our_own_object_is_delivered(world):
    ref = world.upload("k", ONE)
    foreign = FOREIGN["s3"]["Records"][0]
    world.send({"Records": [foreign, event_record(ref)]})
    world.run(10)
    assert world.outcome(ref) == ([ONE], "done", ["foreign_bucket"], True)


def test_h39_an_object_outside_the_prefix_is_filtered_unread():
    world = World(settings="prefix = ours/\n")
    ref = world.announce("theirs/k", ONE)
    world.run(10)
    assert world.outcome(ref) == ([], "filtered", [], True)
    assert world.kept.opened == []


# -- 44: who sent it


def _verifying(mode, *, topics=(), host=None):
    clock = ManualClock()
    host = host or Host(certificate(clock))
    verifier = SnsVerifier(mode, fetch=host, clock=clock, topics=topics)
    return World(clock=clock, settings=f"sns_signature = {mode}\n", verify=verifier.check), host


def _about(world):
    return json.dumps({"Records": [event_record(world.upload("k", ONE))]})


def test_h44_what_sns_signed_is_opened():
    world, _ = _verifying("enforce")
    world.send(envelope(Message=_about(world)))
    world.run(10)
    assert (world.bodies(), world.reasons(), world.is_over()) == ([ONE], [], True)


@pytest.mark.parametrize("mode", ["enforce", "warn", "off"])
def test_h44_a_forged_signature_is_kept_or_only_warned_of_as_the_setting_says(mode):
    world, _ = _verifying(mode)
    body = json.dumps(signed(unsigned(Message=_about(world)), key=FORGER))
    world.send(body)
    world.run(60)
    if mode == "enforce":
        (entry,) = world.quarantined()
        assert (entry.reason, entry.body, world.kept.opened) == ("sns_forged", body.encode(), [])
    else:
        assert (world.bodies(), world.reasons()) == ([ONE], [])
    assert world.is_over()


@pytest.mark.parametrize(
    "url",
    ["https://sns.us-east-1.amazonaws.com.evil.example.com/SimpleNotificationService-" + "0" * 32 + ".pem",
     "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem",
     "https://evil@sns.us-east-1.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem",
     "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-" + "0" * 32 + ".pem",
     "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem",
     "file:///etc/passwd", "https://169.254.169.254/latest/meta-data/"],
)
def test_h44_a_certificate_from_elsewhere_is_never_fetched(url):
    world, host = _verifying("enforce")
    world.send(envelope(Message=_about(world), SigningCertURL=url))
    world.run(60)
    assert (host.asked, world.bodies(), world.kept.opened) == ([], [], [])
    assert (len(world.reasons()), world.is_over()) == (1, True)


def test_h44_a_topic_that_is_not_on_the_list_is_kept():
    world, _ = _verifying("enforce", topics=[f"{TOPIC}-2"])
    world.send(envelope(Message=_about(world)))
    world.run(60)
    assert (world.bodies(), world.kept.opened, world.reasons()) == ([], [], ["foreign_topic"])


def test_h44_a_subscription_confirmation_is_kept_and_said_and_its_url_never_visited(caplog):
    world, host = _verifying("warn")
    world.send(envelope(Type="SubscriptionConfirmation", **CONFIRMATION))
    world.run(60)
    assert (world.bodies(), world.reasons(), world.is_over()) == ([], ["sns_unconfirmed"], True)
    assert all("SimpleNotificationService" in url for url in host.asked)
    [line] = [each.getMessage() for each in caplog.records if "goes to quarantine" in each.getMessage()]
    assert f"subscription of this queue to {TOPIC} is not confirmed" in line
    assert "until the provider confirms it" in line


def test_h44_that_a_subscription_was_ended_is_kept_with_its_token_and_said(caplog):
    world, host = _verifying("warn")
    world.send(envelope(Type="UnsubscribeConfirmation", **CONFIRMATION))
    world.run(60)
    assert (world.bodies(), world.reasons(), world.is_over()) == ([], ["sns_unsubscribed"], True)
    assert all("SimpleNotificationService" in url for url in host.asked)
    [line] = [each.getMessage() for each in caplog.records if "goes to quarantine" in each.getMessage()]
    assert f"subscription of this queue to {TOPIC} was ended" in line


# -- 45: what nobody knows

UNKNOWN = {
    "an object": '{"hello":"world"}',
    "text": "what is this",
    "a number": "42",
    "binary": "\u0001\u0002\ufffd\u0010",
    "base64": base64.b64encode(b"\x00\x01binary").decode(),
    "base64 of gzip of text": base64.b64encode(gzip.compress(b"what is this")).decode(),
    "broken base64 of gzip": base64.b64encode(gzip.compress(b"{}")).decode()[:-9],
    "html": "<!DOCTYPE html><script>alert(1)</script>",
    "xml": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "json that is cut off": '{"Records":[{"s3":',
    "records of nothing known": '{"Records":[{"a":1}]}',
    "records that are no list": '{"Records":{"s3":{}}}',
    "a format string": "%s%n{0.__class__}${jndi:ldap://x/}",
}


@pytest.mark.parametrize("body", UNKNOWN.values(), ids=UNKNOWN)
def test_h45_a_body_that_nobody_knows_is_kept_byte_for_byte(world, body):
    is_kept(world, body, "unknown_body")


@pytest.mark.parametrize("body", ["", " \n\t "], ids=["empty", "blank"])
def test_h45_an_empty_body_is_kept_under_its_own_name(world, body):
    is_kept(world, body, "empty_body")


@pytest.mark.parametrize("deep", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_h45_deep_json_is_kept_too(world, deep):
    is_kept(world, deep, "unknown_body")


def test_h45_a_body_wrapped_too_often_is_kept(world):
    body = json.dumps({"Records": [event_record(world.upload("k", ONE))]})
    for _ in range(6):
        body = json.dumps(body)
    is_kept(world, body, "nested_too_deep")


@pytest.mark.parametrize("body", ['{"hello":"world"}', "what is this", "Zo\u00eb \U0001f600"])
def test_h45_where_bodies_are_audits_it_is_an_event(body):
    world = World(provider="privacera-policysync")
    world.send(body)
    world.run(10)
    assert (world.bodies(), world.reasons(), world.is_over()) == ([body.encode()], [], True)
