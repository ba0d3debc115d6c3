"""One queue that holds every shape of message at once, read by one input without any setting for it."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter

import pytest

from collector.testing.provider import Provider
from tests.e2e.collector_process import ndjson

TOPIC = "arn:aws:sns:eu-west-1:111111111111:audit-topic"
TIME = "2026-05-04T10:15:02.412Z"


class Queue:
    """A provider's queue that is filled by hand; it notes what is to arrive, and why what is to be kept."""

    def __init__(self, aws):
        self.provider = Provider(aws, "mixed", delivery="none")
        self.bucket = self.provider.bucket
        self.expected = Counter()
        self.reasons = []

    def object(self, key, count=2):
        """Upload an object whose events are to arrive; its key."""
        self.provider.upload(key, ndjson(key, count))
        self.expected.update(f"{key}-{number}" for number in range(count))
        return key

    def audit(self, name):
        """The text of an audit that is to arrive as it is."""
        self.expected[name] += 1
        return json.dumps({"eventTime": TIME, "eventId": name})

    def s3(self, *keys):
        """S3's own body for new objects under these keys."""
        return json.dumps({"Records": [self.provider.event_record(self.object(key)) for key in keys]})

    def changed(self, key, **changes):
        record = self.provider.event_record(self.object(key))
        record["s3"]["object"].update(changes.pop("object", {}))
        return {**record, **changes}

    def send(self, body, *, kept=""):
        self.provider.send_body(body if isinstance(body, str) else json.dumps(body))
        self.reasons += [kept] if kept else []


def sns(message, kind="Notification"):
    """SNS's envelope; nobody signed it, which is warned of."""
    pem = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0000000000000000000000000000000a.pem"
    return {"Type": kind, "MessageId": "m", "TopicArn": TOPIC, "Message": message, "Timestamp": TIME,
            "SignatureVersion": "1", "Signature": "eA==", "SigningCertURL": pem}


def eventbridge(queue, key, **event):
    detail = {"bucket": {"name": queue.bucket}, "object": {"key": queue.object(key), "size": 1}}
    given = {"source": "aws.s3", "time": "2026-05-04T10:15:02Z", "region": "eu-west-1", "detail": detail}
    return {**given, **event}


def packed(text):
    return base64.b64encode(gzip.compress(text.encode())).decode()


def subscription(queue, *names, kind="DATA_MESSAGE"):
    events = [{"id": name, "timestamp": 1777889702412, "message": queue.audit(name)} for name in names]
    return {"messageType": kind, "owner": "1", "logGroup": "g", "logStream": "s", "logEvents": events}


def of_s3(queue):
    queue.send(queue.s3("s3/one", "s3/a b+c%25.json"))
    queue.send(queue.s3("s3/twice"))
    queue.provider.notify("s3/twice")
    queue.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": TIME, "Bucket": queue.bucket})
    gone = {"bucket": {"name": queue.bucket}, "object": {"key": "gone"}}
    queue.send({"Records": [{"eventVersion": "2.1", "eventName": "ObjectRemoved:Delete", "s3": gone}]})
    queue.send({"Records": [queue.changed("s3/version-2.5", eventVersion="2.5", newField=1)]})
    minio = queue.changed("minio/a b", eventSource="minio:s3", eventVersion="2.0", awsRegion="",
                          eventName="s3:ObjectCreated:Put", object={"key": "minio%2Fa+b"})
    queue.send({"EventName": "s3:ObjectCreated:Put", "Key": f"{queue.bucket}/minio/a b", "Records": [minio]})
    size = str(queue.provider.event_record(queue.object("ceph/a+b"))["s3"]["object"]["size"])
    unencoded = queue.provider.event_record("ceph/a+b")
    unencoded["s3"]["object"].update(key="ceph/a+b", size=size)
    queue.send({"Records": [{**unencoded, "eventSource": "ceph:s3", "eventVersion": "2.2"}]})


def of_services(queue):
    queue.send(eventbridge(queue, "eventbridge/a+b%2Bc", **{"detail-type": "Object Created"}))
    queue.send(eventbridge(queue, "security-lake/region=eu-west-1/x"))
    call = {"bucketName": queue.bucket, "key": queue.object("api-call/k")}
    queue.send({"detail-type": "AWS API Call via CloudTrail",
                "detail": {"eventName": "PutObject", "requestParameters": call}})
    queue.send("CloudTrail validation message.")
    keys = [queue.object("trail/1+1"), queue.object("trail/2")]
    queue.send({"s3Bucket": queue.bucket, "s3ObjectKey": keys})
    queue.send({"messageType": "ConfigurationSnapshotDeliveryCompleted", "s3Bucket": queue.bucket,
                "s3ObjectKey": queue.object("Config/2016/9/27/x::y")})
    queue.send({"messageType": "ConfigurationHistoryDeliveryStarted"})
    item = json.loads(queue.audit("config-item"))
    queue.send({"messageType": "ConfigurationItemChangeNotification", "configurationItem": {}, **item})
    place = {"s3BucketLocation": f"{queue.bucket}/{queue.object('Config/oversized')}"}
    oversized = {"messageType": "OversizedConfigurationItemChangeNotification", "s3DeliverySummary": place}
    queue.send(f"The item is too large. {json.dumps(oversized)}")
    files = [{"path": queue.object("fdr/part-0"), "size": 1}, {"path": queue.object("fdr/part-1")}]
    queue.send({"bucket": queue.bucket, "files": files})
    event = {"eventSource": "iam.amazonaws.com", "eventVersion": "1.09", **json.loads(queue.audit("event"))}
    insight = {"eventCategory": "Insight", "eventID": "i", **json.loads(queue.audit("insight"))}
    queue.send({"Records": [event, insight]})


def of_logs(queue):
    queue.send({"id": "31953106", "timestamp": 1777889702412, "message": queue.audit("log-event")})
    queue.send(packed(json.dumps(subscription(queue, "subscribed-1", "subscribed-2"))))
    queue.send({"awslogs": {"data": packed(json.dumps(subscription(queue, "as-lambda-gets-it")))}})
    queue.send(subscription(queue, kind="CONTROL_MESSAGE"))


def in_wrappers(queue):
    queue.send(sns(queue.s3("sns/s3")))
    queue.send(sns(json.dumps(eventbridge(queue, "sns/eventbridge", **{"detail-type": "Object Created"}))))
    queue.send(sns(json.dumps({"s3Bucket": queue.bucket, "s3ObjectKey": [queue.object("sns/trail")]})))
    one, two = ({"messageId": name, "body": queue.s3(f"lambda/{name}")} for name in ("one", "two"))
    queue.send({"Records": [one, two]})
    queue.send({"Records": [{"EventSource": "aws:sns", "Sns": sns(queue.s3("lambda/sns"))}]})
    queue.send(json.dumps(queue.s3("string")))
    queue.send(packed(queue.s3("base64")))
    queue.send([json.loads(queue.s3("list/1")), json.loads(queue.s3("list/2"))])
    queue.send(queue.s3("glued/1") + "\n" + queue.s3("glued/2"))
    queue.provider.upload("payloads/large", queue.s3("pointed/1", "pointed/2").encode())
    place = {"s3BucketName": queue.bucket, "s3Key": "payloads/large"}
    queue.send(["software.amazon.payloadoffloading.PayloadS3Pointer", place])


def to_be_kept(queue):
    """What is not, or not whole, for us: each is in quarantine before it is deleted."""
    queue.send("what is this", kept="unknown_body")
    queue.send({"hello": "world"}, kept="unknown_body")
    queue.send(sns("confirm", "SubscriptionConfirmation"), kept="sns_unconfirmed")
    records = [queue.provider.event_record(queue.object(f"ten/{number}")) for number in range(9)]
    bad = json.loads(json.dumps(records[0]))
    bad["s3"]["object"]["key"] = "%FF"
    queue.send({"Records": [*records[:5], bad, *records[5:]]}, kept="key_undecodable")
    foreign = {"bucket": {"name": "not-ours"}, "object": {"key": "k"}}
    queue.send({"Records": [{**records[0], "s3": foreign}]}, kept="foreign_bucket")
    place = {"s3BucketName": "not-ours", "s3Key": "k"}
    queue.send(["com.amazon.sqs.javamessaging.MessageS3Pointer", place], kept="foreign_bucket")
    queue.send({"Records": [{**records[0], "eventVersion": "3.0"}]}, kept="unknown_event_version")


def ids(lines):
    return Counter(json.loads(line)["eventId"] for line in lines)


def test_a_queue_of_all_shapes_arrives_whole_and_once(local_aws, collector):
    queue = Queue(local_aws)
    for fill in (of_s3, of_services, of_logs, in_wrappers, to_be_kept):
        fill(queue)
    ours = collector(queue.provider.handover())
    assert ids(ours.once(code=1)) == queue.expected
    assert queue.provider.queue_depth() == 0
    listed = ours.verb("quarantine", "list", "--format", "json").stdout.splitlines()
    assert sorted(json.loads(line)["reason"] for line in listed) == sorted(queue.reasons)
    assert ours.once() == []


@pytest.mark.exhaustive
def test_a_part_that_is_still_not_understood_stays_in_quarantine_when_it_is_retried(ministack, collector):
    ministack.reset()
    queue = Queue(ministack)
    good = queue.provider.event_record(queue.object("good"))
    queue.send({"Records": [good, {**good, "eventVersion": "3.0"}]}, kept="unknown_event_version")
    ours = collector(queue.provider.handover())
    assert ids(ours.once(code=1)) == queue.expected
    again = ours.verb("quarantine", "retry", code=1)
    assert (again.stdout, b"delivered 0 of 1" in again.stderr) == (b"", True)
    listed = ours.verb("quarantine", "list", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["reason"] for line in listed] == queue.reasons


def test_a_message_to_an_input_without_a_bucket_fetches_nothing(ministack, collector):
    ministack.reset()
    queue = Queue(ministack)
    queue.send(queue.s3("k"))
    queue.send(queue.audit("in-the-body"))
    ours = collector({name: value for name, value in queue.provider.handover().items() if name != "bucket"})
    assert list(ids(ours.once(code=1))) == ["in-the-body"]
    listed = ours.verb("quarantine", "list", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["reason"] for line in listed] == ["foreign_bucket"]
    assert queue.provider.queue_depth() == 0


@pytest.mark.parametrize(
    ("mode", "reasons"),
    [pytest.param("warn", [], marks=pytest.mark.exhaustive), ("enforce", ["foreign_topic"])],
)
def test_a_topic_that_is_not_on_the_list_is_treated_as_the_setting_says(ministack, collector, mode, reasons):
    ministack.reset()
    queue = Queue(ministack)
    queue.send(sns(queue.s3("k")))
    ours = collector({**queue.provider.handover(), "sns_signature": mode, "sns_topic_arn": f"{TOPIC}-2"})
    arrived = ids(ours.once(code=1 if reasons else 0))
    assert arrived == (Counter() if reasons else queue.expected)
    listed = ours.verb("quarantine", "list", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["reason"] for line in listed] == reasons


@pytest.mark.exhaustive
def test_a_dry_run_asks_who_sent_a_message_too(ministack, collector):
    ministack.reset()
    queue = Queue(ministack)
    queue.send(sns(queue.s3("k")))
    more = {"sns_signature": "enforce", "sns_topic_arn": f"{TOPIC}-2"}
    looked = collector({**queue.provider.handover(), **more}).run("--dry-run", "--peek")
    assert looked.returncode == 1
    assert b"[foreign_topic]" in looked.stderr
    assert queue.provider.queue_depth() == 1
