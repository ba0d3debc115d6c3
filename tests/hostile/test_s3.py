"""Rows 33 to 38, 40, 41 and 47 of docs/formats.md: what S3 and KMS answer, and bodies that break."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError, ResponseStreamingError
from urllib3.exceptions import IncompleteRead

from collector.aws.client_side import ClientSide
from collector.aws.client_side_envelope import is_marked
from collector.aws.kms import DataKeys
from collector.errors import Fatal
from tests.client_side import ARN, MemoryKms, write_v2, write_v3
from tests.hostile.world import S3Answers, World, gz, lines_of, refusal

ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'
TWO = b'{"eventTime":"2024-05-04T10:15:03Z","n":2}'


@pytest.fixture
def world():
    return World()


@pytest.fixture
def s3():
    return S3Answers()


# -- 33 to 38: what S3 answers


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion"])
def test_h33_a_missing_object_is_believed_gone_at_the_third_look(s3, code):
    world = World(s3=s3)
    ref = s3.put("k", ONE)
    s3.refusals["k"] = refusal(code, 404)
    world.tell(replace(ref, event_time=world.clock.now()))
    world.run(600)
    assert world.outcome(ref) == ([], "gone", [], True)
    assert len(s3.requests) == 3
    assert world.ledger.counters["gone"] == 1


def test_h33_an_object_that_only_came_late_is_read(s3):
    world = World(s3=s3)
    ref = s3.put("k", ONE)
    s3.refusals["k"] = refusal("NoSuchKey", 404)
    world.tell(ref)
    world.run(0.5)
    del s3.refusals["k"]
    world.run(600)
    assert world.outcome(ref) == ([ONE], "done", [], True)


def test_h34_one_key_denied_while_others_work_ends_as_forbidden_after_a_day(s3, log):
    """Three tries would give up a right that is granted a minute late."""
    world = World(s3=s3)
    bad, good = s3.put("bad", ONE), s3.put("good", TWO)
    s3.refusals["bad"] = refusal("AccessDenied", 403, "Access Denied")
    world.tell(bad)
    world.tell(good)
    world.run(23 * 3600)
    assert (world.bodies(), world.state(bad), world.queue.depth) == ([TWO], "open", 1)
    world.run(4 * 3600)
    assert world.outcome(bad) == ([TWO], "quarantined", ["forbidden"], True)
    for hypothesis in ("attach s3:GetObject", "a missing object looks like this too"):
        assert hypothesis in log.getvalue()
        assert hypothesis in world.quarantined()[0].detail


@pytest.mark.parametrize(
    "error", [refusal("AccessDenied", 403, "Access Denied"), refusal("ExpiredToken", 400),
              refusal("InvalidAccessKeyId", 403)], ids=["denied", "expired", "invalid"],
)
def test_h35_when_every_key_is_denied_receiving_stops_and_nothing_is_deleted(s3, error):
    world = World(s3=s3)
    refs = [s3.put(f"k{number}", ONE + b" ") for number in range(12)]
    s3.refusals["*"] = error
    for ref in refs:
        world.tell(ref)
    world.run(3 * 3600)
    assert (world.bodies(), world.reasons(), world.queue.depth) == ([], [], 12)
    assert world.queue.deletes == []
    s3.refusals.clear()
    world.run(2 * 3600)
    assert (len(world.bodies()), {world.state(ref) for ref in refs}, world.is_over()) == (12, {"done"}, True)


def test_h35_meanwhile_hardly_a_message_is_received_again(s3):
    world = World(s3=s3)
    s3.refusals["*"] = refusal("AccessDenied", 403, "Access Denied")
    for number in range(12):
        world.tell(s3.put(f"k{number}", ONE))
    world.run(3 * 3600)
    assert sum(world.queue.receives) <= 12 + 3 * 6, "the provider's maxReceiveCount is not ours to burn"


def test_h35_a_role_that_cannot_be_assumed_stops_receiving(world):
    world.kept.refuse("k", Fatal("sts denied", code="role_denied", scope="role"))
    ref = world.announce("k", ONE)
    world.run(6 * 3600)
    assert (world.bodies(), world.reasons(), world.queue.depth) == ([], [], 1)
    world.kept.refuse("k", None)
    world.run(3600)
    assert world.outcome(ref) == ([ONE], "done", [], True)


def _archived():
    said = {"Code": "InvalidObjectState", "Message": "Not valid for the object's storage class",
            "StorageClass": "DEEP_ARCHIVE", "AccessTier": "ARCHIVE_ACCESS"}
    return ClientError({"Error": said, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetObject")


def test_h36_an_archived_object_is_kept_and_read_when_its_restore_is_announced(s3):
    world = World(s3=s3)
    ref = s3.put("k", ONE)
    s3.refusals["k"] = _archived()
    world.tell(ref)
    world.run(60)
    assert world.outcome(ref) == ([], "quarantined", ["archived"], True)
    s3.refusals.clear()
    world.tell(ref, eventName="ObjectRestore:Completed")
    world.run(60)
    assert world.outcome(ref) == ([ONE], "done", [], True)


def test_h36_the_restore_of_what_was_delivered_before_repeats_nothing(s3):
    world = World(s3=s3)
    ref = s3.put("k", ONE)
    world.tell(ref)
    world.run(60)
    world.tell(ref, eventName="ObjectRestore:Completed")
    world.run(60)
    assert world.outcome(ref) == ([ONE], "done", [], True)


#: The longest is beyond the day after which one denied object would be given up.
KMS = [
    (refusal("KMS.DisabledException", 400, f"{ARN} is disabled."), 2),
    (refusal("KMS.KMSInvalidStateException", 400, f"{ARN} is pending deletion."), 2),
    (refusal("AccessDenied", 403, f"not authorized to perform: kms:Decrypt on resource: {ARN}"), 26),
]


@pytest.mark.parametrize(("error", "hours"), KMS, ids=["disabled", "pending deletion", "denied"])
def test_h37_a_kms_key_out_of_reach_pauses_its_objects_and_quarantines_none(s3, error, hours):
    world = World(s3=s3)
    refs = [s3.put(f"k{number}", ONE) for number in range(12)]
    s3.refusals["*"] = error
    for ref in refs:
        world.tell(ref)
    world.run(hours * 3600)
    assert (world.bodies(), world.reasons(), world.queue.depth) == ([], [], 12)
    assert world.queue.deletes == []
    s3.refusals.clear()
    world.run(2 * 3600)
    assert ({world.state(ref) for ref in refs}, world.is_over()) == ({"done"}, True)


def test_h37_a_queue_whose_key_is_out_of_reach_pauses_receiving(world):
    world.queue.error = Fatal("KmsDisabled", code="kms_key_unusable", scope="queue")
    ref = world.announce("k", ONE)
    world.run(3600)
    assert (world.bodies(), world.queue.depth) == ([], 1)
    world.queue.error = None
    world.run(120)
    assert world.outcome(ref) == ([ONE], "done", [], True)


def test_h38_a_bucket_in_another_region_is_found_there_and_remembered(s3):
    s3.home = "us-east-2"
    world = World(s3=s3)
    refs = [s3.put(f"k{number}", ONE) for number in range(3)]
    for ref in refs:
        world.tell(ref)
    world.run(10)
    assert (len(world.bodies()), {world.state(ref) for ref in refs}, world.is_over()) == (3, {"done"}, True)
    assert s3.regions.count("eu-west-1") == 1


# -- 40, 41: bodies


@pytest.mark.parametrize(
    "error", [ResponseStreamingError(error="reset"), ReadTimeoutError(endpoint_url="s3"),
              IncompleteRead(1, 2), ConnectionResetError(104, "reset")],
)
def test_h40_a_body_that_breaks_off_is_resumed_under_its_etag(s3, error):
    world = World(s3=s3)
    events = [b'{"eventTime":"2024-05-04T10:15:02Z","n":%d}' % number for number in range(8000)]
    ref = s3.put("k", lines_of(events))
    s3.breaks = [error] * 4
    world.tell(ref)
    world.run(60)
    assert world.outcome(ref) == (events, "done", [], True)
    assert ["Range" in request for request in s3.requests] == [False, True, True, True, True]
    assert {request["IfMatch"] for request in s3.requests} == {f'"{ref.etag}"'}


def test_h40_after_six_breaks_in_a_row_the_object_is_tried_again_later(s3):
    world = World(s3=s3)
    ref = s3.put("k", b"x")
    s3.breaks = [ConnectionResetError(104, "reset")] * 20
    world.tell(ref)
    world.run(0.5)
    assert (len(s3.requests), world.queue.depth, world.reasons()) == (6, 1, [])
    world.run(600)
    assert world.outcome(ref) == ([b"x"], "done", [], True)


def test_h41_an_object_that_was_overwritten_is_gone_and_what_is_there_now_is_read_once(s3):
    world = World(s3=s3)
    old = s3.put("k", ONE)
    new = s3.put("k", TWO)
    world.tell(old)
    world.tell(new)
    world.run(60)
    assert (world.bodies(), world.state(old), world.state(new)) == ([TWO], "gone", "done")
    assert (world.row(old).reason, world.reasons(), world.is_over()) == ("superseded", [], True)


def test_h41_of_a_versioned_bucket_both_are_read(world):
    old, new = world.upload("k", ONE), world.upload("k", TWO)
    world.tell(old)
    world.tell(new)
    world.run(60)
    assert (sorted(world.bodies()), world.state(old), world.state(new)) == ([ONE, TWO], "done", "done")


# -- 47: client-side encryption


def _encrypted_world():
    kms = MemoryKms()
    keys = DataKeys(lambda region: kms, allowed=[ARN])
    return World(objects=lambda bucket: _Decrypting(bucket, ClientSide(keys))), kms


class _Decrypting:
    """A bucket whose objects are all decrypted, as S3Store does with those that are marked."""

    def __init__(self, bucket, client_side):
        self._bucket = bucket
        self._client_side = client_side

    def foresee(self, refs):
        self._bucket.foresee(refs)

    def open(self, ref):
        stored = self._bucket.open(ref)
        assert is_marked(stored.metadata)
        return self._client_side.open(stored, again=self._bucket.open)


def test_h47_what_its_writer_encrypted_is_delivered():
    world, kms = _encrypted_world()
    body, metadata = write_v3(gz(ONE, TWO), kms)
    ref = world.announce("k", body, metadata=metadata)
    world.run(10)
    assert world.outcome(ref) == ([ONE, TWO], "done", [], True)


def _tag(body, metadata):
    return body[:-1] + bytes([body[-1] ^ 1]), metadata


def _commitment(body, metadata):
    return body, {**metadata, "x-amz-d": base64.b64encode(bytes(28)).decode()}


def _both_versions(body, metadata):
    return body, {**metadata, "x-amz-key-v2": metadata["x-amz-3"]}


def _unknown_wrap(body, metadata):
    return body, {**metadata, "x-amz-w": "77"}


DAMAGES = [
    (_tag, "ciphertext_tampered"),
    (_commitment, "key_commitment_failed"),
    (_both_versions, "mixed_encryption_metadata"),
    (_unknown_wrap, "unknown_key_wrap"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_h47_of_what_fails_its_check_no_byte_is_released(damage, reason, log):
    world, kms = _encrypted_world()
    body, metadata = damage(*write_v3(b"\n".join([ONE, TWO] * 5000), kms))
    ref = world.announce("k", body, metadata=metadata)
    world.run(600)
    assert world.outcome(ref) == ([], "quarantined", [reason], True)
    assert "ERROR" in log.getvalue()
    assert reason in log.getvalue()


def test_h47_nor_of_an_older_format_with_one_byte_changed():
    world, kms = _encrypted_world()
    body, metadata = write_v2(b"\n".join([ONE] * 5000), kms)
    body = body[:9] + bytes([body[9] ^ 1]) + body[10:]
    ref = world.announce("k", body, metadata=metadata)
    world.run(600)
    assert world.outcome(ref) == ([], "quarantined", ["ciphertext_tampered"], True)
