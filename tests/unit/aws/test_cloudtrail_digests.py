"""Digests of a trail that signs as AWS does, and of whoever would like to be taken for it."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import sys
from typing import Any, Dict, List, Optional, Sequence

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from cryptography.hazmat.primitives import serialization

from collector.aws.cloudtrail_digests import DigestVerifier
from collector.aws.cloudtrail_keys import PublicKeys
from collector.decode.content import content
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.model import Block, ObjectRef
from collector.testing.twins import ManualClock, MemoryBucket
from tests.signed_trail import Listing, LogFile, Signed, Trail, new_key

BUCKET = "trail-logs"
KEY, FORGER = new_key(), new_key()
SIGNED = Trail(BUCKET, key=KEY).digest()
#: 2026-05-04T11:01:31Z, the end of a Trail's first digest.
FIRST_END = 1_777_892_491


class World:
    """A bucket with a trail in it, a store that knows some hashes, and CloudTrail's own answer."""

    def __init__(self) -> None:
        self.clock = ManualClock(now=FIRST_END + 600.0)
        self.bucket = MemoryBucket(self.clock, BUCKET, read_bytes=100)
        self.trail = Trail(BUCKET, key=KEY)
        self.hashes: Dict[str, Sequence[str]] = {}
        self.listing = Listing([self.trail.der])
        self.clients: List[Any] = [(self.listing, "")]
        self.regions: List[str] = []
        self.seen = hashlib.sha256()
        self.max_event_bytes = 5_000_000

    def read(self, *files: LogFile) -> List[LogFile]:
        """These files are in the bucket, and were delivered."""
        for file in files:
            self.bucket.put(file.key, file.body)
            self.hashes[file.key] = [file.sha256]
        return list(files)

    def put(self, digest: Signed, **changes: Any) -> ObjectRef:
        held = {"key": digest.key, "body": digest.body, "metadata": digest.metadata, **changes}
        return self.bucket.put(held["key"], held["body"], metadata=held["metadata"])

    def blocks(self, ref: ObjectRef) -> List[Block]:
        verifier = DigestVerifier(
            self.bucket, lambda bucket, keys: {key: self.hashes[key] for key in keys if key in self.hashes},
            PublicKeys(self._clients, clock=self.clock), content=content,
            max_event_bytes=self.max_event_bytes,
        )
        return list(verifier.judge(self.bucket.open(ref), self.seen.update))

    def judge(self, digest: Signed, **changes: Any) -> Dict[str, Any]:
        """The event about this digest."""
        return self.event(self.put(digest, **changes))

    def event(self, ref: ObjectRef) -> Dict[str, Any]:
        *alive, block = self.blocks(ref)
        assert not any(one.bodies for one in alive)
        (body,) = block.bodies
        event: Dict[str, Any] = json.loads(body)
        assert (block.first, block.is_json, block.note) == (0, True, event["result"])
        return event

    def opened(self) -> List[str]:
        """The keys that were opened beside digests."""
        keys = [url.partition(f"{BUCKET}/")[2] for url in self.bucket.opened]
        return [key for key in keys if "/CloudTrail/" in key]

    def _clients(self, region: str) -> Sequence[Any]:
        self.regions.append(region)
        return self.clients


@pytest.fixture
def world() -> World:
    return World()


def said(event: Dict[str, Any]) -> tuple[str, List[str]]:
    return event["result"], event["reasons"]


# -- what is sound


def test_a_sound_digest_is_valid_and_costs_no_request_but_its_own_and_the_keys(world: World) -> None:
    event = world.judge(world.trail.digest(world.read(world.trail.log(), world.trail.log())))
    assert said(event) == ("valid", [])
    assert (event["signature"], event["chain"]) == ("valid", "start")
    assert (event["logFilesListed"], event["logFilesValid"]) == (2, 2)
    assert event["logFilesInvalid"] == event["logFilesMissing"] == event["logFilesUnchecked"] == 0
    assert len(world.bucket.opened) == len(world.listing.asked) == 1


def test_the_event_has_the_time_of_the_digests_end_and_says_whose_it_is(world: World) -> None:
    digest = world.trail.digest()
    *_, block = world.blocks(world.put(digest))
    event = json.loads(block.bodies[0])
    assert block.times == [str(FIRST_END)]
    assert event["digestFile"] == f"s3://{BUCKET}/{digest.key}"
    assert (event["digestStartTime"], event["digestEndTime"]) == (
        "2026-05-04T10:01:31Z", "2026-05-04T11:01:31Z",
    )
    assert (event["awsAccountId"], event["awsRegion"]) == ("111111111111", "eu-west-1")
    assert event["digestPublicKeyFingerprint"] == world.trail.fingerprint
    assert event["previousDigestFile"] is None
    assert event["backfill"] is False


def test_the_document_stands_in_the_event_byte_for_byte_and_last(world: World) -> None:
    digest = world.trail.digest(world.read(world.trail.log()))
    (block,) = world.blocks(world.put(digest))
    body = block.bodies[0]
    assert body.endswith(b',"digest":' + digest.document + b"}")
    assert json.loads(body)["digestSha256"] == hashlib.sha256(digest.document).hexdigest()
    assert body.startswith(b'{"result":"valid"')


def test_a_document_too_long_for_an_event_is_left_out_and_the_verdict_is_not(world: World) -> None:
    digest = world.trail.digest(world.read(*(world.trail.log() for _ in range(20))))
    world.max_event_bytes = len(digest.document)
    event = world.judge(digest)
    assert (event["result"], event["digest"], event["logFilesValid"]) == ("valid", None, 20)
    world.max_event_bytes += 2000
    assert world.event(world.put(digest))["digest"]["logFiles"][0]["hashAlgorithm"] == "SHA-256"


def test_the_same_digest_gives_the_same_bytes_again(world: World) -> None:
    ref = world.put(world.trail.digest(world.read(world.trail.log())))
    assert world.blocks(ref) == world.blocks(ref)


def test_an_hour_without_log_files_is_valid(world: World) -> None:
    assert said(world.judge(world.trail.digest())) == ("valid", [])


def test_the_content_of_a_digest_is_told_for_its_own_hash(world: World) -> None:
    digest = world.trail.digest()
    world.judge(digest)
    assert world.seen.hexdigest() == digest.sha256


def test_a_backfill_digest_is_asked_for_with_the_key_of_when_it_was_made(world: World) -> None:
    digest = world.trail.digest(world.read(world.trail.log()), backfill=True)
    metadata = {**digest.metadata, "backfill-generation-timestamp": "2026-05-06T07:00:00.123Z"}
    world.clock.advance(7 * 86400)
    event = world.judge(digest, metadata=metadata)
    assert said(event) == ("valid", [])
    assert event["backfill"] is True
    ((start, end),) = world.listing.asked
    assert (start.isoformat(), end.isoformat()) == ("2026-05-06T06:00:00+00:00", "2026-05-06T08:00:00+00:00")


def test_keys_are_asked_for_around_the_end_of_the_digest_and_never_for_times_to_come(world: World) -> None:
    world.judge(world.trail.digest())
    ((start, end),) = world.listing.asked
    assert start.timestamp() == FIRST_END - 3600
    assert end.timestamp() == world.clock.now() == FIRST_END + 600
    assert world.regions == ["eu-west-1"]


# -- what was tampered with


def test_a_log_file_changed_before_it_was_read_is_invalid(world: World, caplog: Any) -> None:
    sound, other = world.read(world.trail.log(), world.trail.log())
    world.hashes[other.key] = [hashlib.sha256(b"forged").hexdigest()]
    with caplog.at_level(logging.ERROR):
        event = world.judge(world.trail.digest([sound, other]))
    assert said(event) == ("invalid", ["log_invalid"])
    assert event["invalidLogFiles"] == [f"s3://{BUCKET}/{other.key}"]
    assert (event["logFilesValid"], event["logFilesInvalid"]) == (1, 1)
    assert "invalid" in caplog.text
    assert other.key not in caplog.text.partition("url=")[0]


def test_a_log_file_that_was_read_twice_with_two_contents_is_invalid(world: World) -> None:
    (log,) = world.read(world.trail.log())
    world.hashes[log.key] = [log.sha256, "0" * 64]
    assert said(world.judge(world.trail.digest([log]))) == ("invalid", ["log_invalid"])


def test_a_log_file_read_in_time_is_valid_whatever_became_of_it_since(world: World) -> None:
    (log,) = world.read(world.trail.log())
    digest = world.trail.digest([log])
    world.bucket.remove(log.key)
    assert said(world.judge(digest)) == ("valid", [])


def test_a_log_file_that_is_gone_and_was_never_read_is_missing(world: World) -> None:
    sound, gone = [*world.read(world.trail.log()), world.trail.log()]
    event = world.judge(world.trail.digest([sound, gone]))
    assert said(event) == ("invalid", ["log_missing"])
    assert event["missingLogFiles"] == [f"s3://{BUCKET}/{gone.key}"]
    assert (event["logFilesValid"], event["logFilesMissing"]) == (1, 1)


@pytest.mark.parametrize("field", ["digestStartTime", "logFiles", "awsAccountId"])
def test_a_digest_with_any_field_changed_is_invalid(world: World, field: str) -> None:
    logs = world.read(world.trail.log())
    digest = world.trail.digest(logs)
    document = json.loads(digest.document)
    document[field] = [] if field == "logFiles" else "2026-05-04T10:01:32Z"
    forged = gzip.compress(json.dumps(document, separators=(",", ":")).encode())
    event = world.judge(digest, body=forged)
    assert said(event) == ("invalid", ["signature_wrong"])
    assert event["signature"] == "invalid"


def test_a_digest_signed_by_somebody_else_is_invalid_and_its_list_is_not_followed(world: World) -> None:
    forger = Trail(BUCKET, key=FORGER)
    lured = forger.log()
    world.bucket.put(lured.key, lured.body)
    event = world.judge(forger.digest([lured]))
    assert said(event) == ("invalid", ["key_unknown"])
    assert (event["chain"], event["logFilesListed"], event["logFilesValid"]) == ("unchecked", 1, 0)
    assert world.opened() == []


def test_a_digest_signed_by_somebody_else_under_cloudtrails_fingerprint_is_invalid(world: World) -> None:
    digest = Trail(BUCKET, key=FORGER).digest(digestPublicKeyFingerprint=world.trail.fingerprint)
    assert said(world.judge(digest)) == ("invalid", ["signature_wrong"])


@pytest.mark.parametrize("signature", ["zz", "00" * 256, "abc", " "])
def test_a_signature_that_is_none_is_invalid(world: World, signature: str) -> None:
    digest = world.trail.digest()
    event = world.judge(digest, metadata={**digest.metadata, "signature": signature})
    assert said(event) == ("invalid", ["signature_wrong"])


def test_a_digest_without_its_signature_is_invalid(world: World) -> None:
    assert said(world.judge(world.trail.digest(), metadata={})) == ("invalid", ["signature_missing"])


def test_a_backfill_digest_that_does_not_say_when_it_was_made_is_invalid(world: World) -> None:
    digest = world.trail.digest(backfill=True)
    event = world.judge(digest, metadata={"signature": digest.metadata["signature"]})
    assert said(event) == ("invalid", ["backfill_time_missing"])


@pytest.mark.parametrize("moved", ["digestS3Bucket", "digestS3Object"])
def test_a_digest_that_lies_where_it_does_not_belong_is_invalid(world: World, moved: str) -> None:
    digest = world.trail.digest(**{moved: "elsewhere"})
    assert said(world.judge(digest)) == ("invalid", ["moved"])
    assert world.listing.asked == []


# -- the chain


def test_a_digest_is_linked_to_the_one_that_was_read_before_it(world: World) -> None:
    before = world.trail.digest()
    world.hashes[before.key] = [before.sha256]
    event = world.judge(world.trail.digest())
    assert (said(event), event["chain"]) == (("valid", []), "linked")
    assert event["previousDigestFile"] == f"s3://{BUCKET}/{before.key}"
    assert len(world.bucket.opened) == 1


def test_a_digest_that_comes_before_its_predecessor_is_linked_all_the_same(world: World) -> None:
    world.put(world.trail.digest())
    assert world.judge(world.trail.digest())["chain"] == "linked"


def test_a_missing_predecessor_is_a_gap(world: World) -> None:
    world.trail.digest()
    event = world.judge(world.trail.digest(world.read(world.trail.log())))
    assert (said(event), event["chain"]) == (("gap", ["previous_missing"]), "missing")
    assert event["logFilesValid"] == 1


@pytest.mark.parametrize("was_read", [True, False])
def test_a_predecessor_that_was_changed_breaks_the_chain(world: World, was_read: bool) -> None:
    before = world.trail.digest()
    forged = b"another digest"
    if was_read:
        world.hashes[before.key] = [hashlib.sha256(forged).hexdigest()]
    else:
        world.put(before, body=gzip.compress(forged))
    event = world.judge(world.trail.digest())
    assert (said(event), event["chain"]) == (("invalid", ["previous_changed"]), "changed")


def test_a_predecessor_that_may_not_be_read_is_a_gap(world: World) -> None:
    before = world.trail.digest()
    world.put(before)
    world.bucket.refuse(before.key, Fatal("denied", code="object_denied", scope="object"))
    event = world.judge(world.trail.digest())
    assert (said(event), event["chain"]) == (("gap", ["previous_unchecked"]), "unchecked")


# -- files that were never read here


def test_a_log_file_from_before_our_time_is_fetched_once_for_its_hash(world: World) -> None:
    log = world.trail.log(50)
    world.bucket.put(log.key, log.body)
    assert said(world.judge(world.trail.digest([log]))) == ("valid", [])
    assert world.opened() == [log.key]


def test_there_are_signs_of_life_while_files_are_fetched(world: World) -> None:
    logs = [world.trail.log() for _ in range(3)]
    for log in logs:
        world.bucket.put(log.key, log.body)
    *alive, verdict = world.blocks(world.put(world.trail.digest(logs)))
    assert [len(block.bodies) for block in alive] == [0] * 3
    assert len(verdict.bodies) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"plain text", gzip.compress(b"other"), gzip.compress(b"other")[:-4], b"",
        gzip.compress(b"x") + b"junk",
    ],
    ids=["text", "gzip", "cut off", "empty", "junk after"],
)
def test_a_file_that_holds_anything_else_is_invalid_after_a_second_look(world: World, body: bytes) -> None:
    log = world.trail.log()
    world.bucket.put(log.key, body)
    assert said(world.judge(world.trail.digest([log]))) == ("invalid", ["log_invalid"])
    assert world.opened() == [log.key] * 2


def test_a_file_with_something_appended_is_invalid(world: World) -> None:
    """Its events would have been delivered with the others, whatever a tool that stops early thinks."""
    log = world.trail.log()
    world.bucket.put(log.key, log.body + gzip.compress(b'{"Records":[{"eventID":"forged"}]}'))
    assert said(world.judge(world.trail.digest([log]))) == ("invalid", ["log_invalid"])


@pytest.mark.parametrize(
    "error",
    [
        Fatal("denied", code="object_denied", scope="object"), Fatal("key", code="kms_denied", scope="kms"),
        Poison("in Glacier", code="archived"),
    ],
)
def test_a_file_that_cannot_be_looked_at_is_a_gap_and_no_accusation(
    world: World, error: CollectorError
) -> None:
    sound, denied = [*world.read(world.trail.log()), world.trail.log()]
    world.bucket.put(denied.key, denied.body)
    world.bucket.refuse(denied.key, error)
    event = world.judge(world.trail.digest([sound, denied]))
    assert said(event) == ("gap", ["log_unchecked"])
    assert event["uncheckedLogFiles"] == [f"s3://{BUCKET}/{denied.key}"]


def test_a_file_in_a_bucket_that_is_not_ours_is_a_gap(world: World) -> None:
    foreign = {"s3Bucket": "elsewhere", "s3Object": "k", "hashValue": "0" * 64, "hashAlgorithm": "SHA-256"}
    assert said(world.judge(world.trail.digest(logFiles=[foreign]))) == ("gap", ["log_unchecked"])


def test_a_hash_of_another_kind_is_a_gap(world: World) -> None:
    (log,) = world.read(world.trail.log())
    listed = {"s3Bucket": BUCKET, "s3Object": log.key, "hashValue": "x", "hashAlgorithm": "SHA-512"}
    assert said(world.judge(world.trail.digest(logFiles=[listed]))) == ("gap", ["log_unchecked"])


@pytest.mark.parametrize(
    "error", [Retry("busy", code="throttled"), Fatal("role", code="role_denied", scope="role")]
)
def test_what_may_pass_or_is_everybodys_is_no_verdict(world: World, error: CollectorError) -> None:
    log = world.trail.log()
    world.bucket.put(log.key, log.body)
    world.bucket.refuse(log.key, error)
    ref = world.put(world.trail.digest([log]))
    with pytest.raises(type(error), match=error.what):
        world.blocks(ref)


def test_no_more_files_are_fetched_than_are_good_for_anybody(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr("collector.aws.cloudtrail_digests.MOST_FETCHED", 2)
    logs = [world.trail.log() for _ in range(4)]
    for log in logs:
        world.bucket.put(log.key, log.body)
    event = world.judge(world.trail.digest(logs))
    assert said(event) == ("gap", ["log_unchecked"])
    assert (event["logFilesValid"], event["logFilesUnchecked"]) == (2, 2)


def test_an_event_names_a_thousand_files_and_counts_them_all(world: World) -> None:
    listed = [
        {"s3Bucket": "elsewhere", "s3Object": f"{n}", "hashValue": "0", "hashAlgorithm": "SHA-256"}
        for n in range(1001)
    ]
    event = world.judge(world.trail.digest(logFiles=listed))
    assert (event["logFilesUnchecked"], len(event["uncheckedLogFiles"])) == (1001, 1000)


# -- keys that cannot be had


def denied() -> ClientError:
    error = {"Code": "AccessDeniedException", "Message": "is not authorized to perform this"}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}, "ListPublicKeys")


@pytest.mark.parametrize(
    ("error", "code"),
    [(denied(), "keys_denied"), (ConnectTimeoutError(endpoint_url="https://cloudtrail"), "timeout")],
)
def test_without_keys_everything_but_the_signature_is_checked(
    world: World, caplog: Any, error: Exception, code: str
) -> None:
    world.listing.error = error
    before = world.trail.digest()
    world.hashes[before.key] = [before.sha256]
    event = world.judge(world.trail.digest(world.read(world.trail.log())))
    assert said(event) == ("unsigned", [code])
    assert (event["signature"], event["chain"], event["logFilesValid"]) == ("unchecked", "linked", 1)
    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_without_keys_a_changed_log_file_is_invalid_all_the_same(world: World) -> None:
    world.listing.error = denied()
    (log,) = world.read(world.trail.log())
    world.hashes[log.key] = ["0" * 64]
    assert said(world.judge(world.trail.digest([log]))) == ("invalid", ["keys_denied", "log_invalid"])


def test_without_cryptography_the_event_says_so(world: World, monkeypatch: Any) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert said(world.judge(SIGNED)) == ("unsigned", ["digest_needs_cryptography"])


def test_a_digest_whose_region_cannot_be_told_asks_nobody(world: World) -> None:
    key = "AWSLogs/111111111111/CloudTrail-Digest/evil.example.com/x.json.gz"
    digest = world.trail.digest(digestS3Object=key)
    assert said(world.judge(digest, key=key)) == ("unsigned", ["region_unknown"])
    assert world.regions == []


# -- what is no digest


@pytest.mark.parametrize(
    "document",
    [
        b"", b"not JSON", b"[]", b"null", b"{}", b'{"logFiles":[]}', b"\xff\xfe", b'{"a":NaN}',
        b"[" * 100_000, b'\xef\xbb\xbf{"logFiles":[]}',
    ],
)
def test_what_is_no_digest_is_poison(world: World, document: bytes) -> None:
    ref = world.bucket.put("AWSLogs/1/CloudTrail-Digest/eu-west-1/x.json.gz", gzip.compress(document))
    with pytest.raises(Poison) as raised:
        world.blocks(ref)
    assert raised.value.code == "digest_format"
    assert raised.value.where == ref.url


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digestEndTime", "yesterday"), ("digestEndTime", None), ("logFiles", None), ("logFiles", [1]),
        ("logFiles", [{}]), ("digestS3Object", 1), ("previousDigestSignature", 1),
        ("digestEndTime", "2026-02-30T00:00:00Z"),
    ],
)
def test_a_digest_of_the_wrong_shape_is_poison(world: World, field: str, value: Any) -> None:
    document = {**json.loads(world.trail.digest().document), field: value}
    ref = world.bucket.put("d", gzip.compress(json.dumps(document).encode()))
    with pytest.raises(Poison) as raised:
        world.blocks(ref)
    assert raised.value.code == "digest_format"


def test_a_digest_that_is_not_gzip_is_poison(world: World) -> None:
    digest = world.trail.digest()
    ref = world.put(digest, body=digest.document)
    with pytest.raises(Poison) as raised:
        world.blocks(ref)
    assert raised.value.code == "not_gzip"


def test_an_endless_digest_is_poison(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr("collector.aws.cloudtrail_digests.MOST_DOCUMENT_BYTES", 10)
    ref = world.put(world.trail.digest())
    with pytest.raises(Poison) as raised:
        world.blocks(ref)
    assert raised.value.code == "digest_too_large"


# -- keys


def keys_of(*listings: Any, clock: Optional[ManualClock] = None) -> PublicKeys:
    return PublicKeys(lambda region: [(one, "") for one in listings], clock=clock or ManualClock())


def test_a_key_is_asked_for_once_a_region() -> None:
    trail = Trail(BUCKET, key=KEY)
    listing = Listing([trail.der])
    keys = keys_of(listing)
    found = keys.find("eu-west-1", trail.fingerprint, at=1.0)
    assert keys.find("eu-west-1", trail.fingerprint, at=9.0) is found
    assert len(listing.asked) == 1
    keys.find("us-east-1", trail.fingerprint, at=1.0)
    assert len(listing.asked) == 2


def test_keys_in_the_other_form_that_aws_uses_are_read_too() -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = KEY.public_key().public_bytes(serialization.Encoding.DER, form)
    fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
    assert keys_of(Listing([der])).find("eu-west-1", fingerprint, at=1.0) is not None


def test_who_may_not_ask_leaves_it_to_the_customers_own_credentials() -> None:
    trail = Trail(BUCKET, key=KEY)
    refused, own = Listing(error=denied()), Listing([trail.der])
    assert keys_of(refused, own).find("eu-west-1", trail.fingerprint, at=1.0) is not None
    assert (len(refused.asked), len(own.asked)) == (1, 1)


def test_a_key_is_unknown_only_if_everybody_who_was_asked_answered() -> None:
    other = Listing([Trail(BUCKET, key=FORGER).der])
    assert keys_of(other).find("eu-west-1", "0" * 32, at=1.0) is None
    with pytest.raises(Fatal) as raised:
        keys_of(Listing(error=denied()), other).find("eu-west-1", "0" * 32, at=1.0)
    assert raised.value.code == "keys_denied"
    assert "cloudtrail:ListPublicKeys" in raised.value.hint


def test_a_check_is_content_if_anybody_may_ask() -> None:
    keys_of(Listing(error=denied()), Listing()).check("eu-west-1")
    with pytest.raises(Fatal) as raised:
        keys_of(Listing(error=denied()), Listing(error=denied())).check("eu-west-1")
    assert raised.value.code == "keys_denied"


def test_a_failure_is_the_answer_for_a_while_and_said_once_a_region(caplog: Any) -> None:
    clock, listing = ManualClock(), Listing(error=ConnectTimeoutError(endpoint_url="https://cloudtrail"))
    keys = keys_of(listing, clock=clock)
    for region, asked in (("eu-west-1", 1), ("eu-west-1", 1), ("us-east-1", 2)):
        with pytest.raises(Retry):
            keys.find(region, "0" * 32, at=1.0)
        assert len(listing.asked) == len(caplog.records) == asked
    clock.advance(901)
    with pytest.raises(Retry):
        keys.find("eu-west-1", "0" * 32, at=1.0)
    assert (len(listing.asked), len(caplog.records)) == (3, 2)
    clock.advance(901)
    listing.error, listing.ders = None, [Trail(BUCKET, key=KEY).der]
    assert keys.find("eu-west-1", Trail(BUCKET, key=KEY).fingerprint, at=1.0) is not None
    listing.error = denied()
    with pytest.raises(Fatal):
        keys.find("eu-west-1", "0" * 32, at=1.0)
    assert len(caplog.records) == 3


@pytest.mark.parametrize("der", [b"", b"not a key"])
def test_what_is_no_key_is_not_taken_for_one(der: bytes) -> None:
    with pytest.raises(Retry) as raised:
        keys_of(Listing([der])).find("eu-west-1", "0" * 32, at=1.0)
    assert raised.value.code == "keys_unreadable"


def test_a_flood_of_keys_is_not_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr("collector.aws.cloudtrail_keys.MOST_REMEMBERED", 1)
    one, two = Trail(BUCKET, key=KEY), Trail(BUCKET, key=FORGER)
    keys = keys_of(Listing([one.der]))
    for region in ("eu-west-1", "eu-west-2", "eu-west-3"):
        keys.find(region, one.fingerprint, at=1.0)
    assert len(keys._keys) == 1
    assert keys_of(Listing([one.der, two.der])).find("eu-west-1", two.fingerprint, at=1.0) is not None
