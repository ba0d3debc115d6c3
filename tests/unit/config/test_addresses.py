"""Names that AWS, Splunk and the network give."""

from __future__ import annotations

from typing import Callable

import pytest

from collector.config import addresses as shape
from collector.config.addresses import QueueAddress, queue_address
from collector.config.table import Invalid

ACCOUNT = "111111111111"
URL = f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/q"


@pytest.mark.parametrize(
    ("text", "region", "endpoint_url"),
    [
        (URL, "eu-west-1", ""),
        (f"https://sqs-fips.us-gov-west-1.amazonaws.com/{ACCOUNT}/q", "us-gov-west-1", ""),
        (f"https://sqs.cn-north-1.amazonaws.com.cn/{ACCOUNT}/q", "cn-north-1", ""),
        (f"https://sqs.eu-west-1.api.aws/{ACCOUNT}/q", "eu-west-1", ""),
        (f"https://eu-west-1.queue.amazonaws.com/{ACCOUNT}/q", "eu-west-1", ""),
        (f"https://queue.amazonaws.com/{ACCOUNT}/q", "us-east-1", ""),
        (
            f"https://vpce-0a-1b.sqs.us-east-1.vpce.amazonaws.com/{ACCOUNT}/q",
            "us-east-1",
            "https://vpce-0a-1b.sqs.us-east-1.vpce.amazonaws.com",
        ),
        (f"http://127.0.0.1:4566/{ACCOUNT}/q", "", "http://127.0.0.1:4566"),
        (f"http://localhost:4566/queue/eu-west-1/{ACCOUNT}/q", "", "http://localhost:4566"),
    ],
)
def test_a_queue_url_tells_name_account_region_and_whether_boto3_must_be_pointed(
    text: str, region: str, endpoint_url: str
) -> None:
    assert queue_address(text) == QueueAddress("q", text, region, ACCOUNT, endpoint_url)


def test_a_private_url_without_a_region_takes_the_given_one() -> None:
    assert queue_address("http://127.0.0.1:4566/000000000000/q", region="us-east-1").region == "us-east-1"


def test_a_queue_arn_gives_the_url_without_asking_aws() -> None:
    found = queue_address(f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q.fifo", region="us-east-1", account="2" * 12)
    assert found == QueueAddress("q.fifo", URL + ".fifo", "eu-west-1", ACCOUNT)
    assert found.fifo


def test_a_queue_arn_of_china_gives_a_url_of_china_and_back() -> None:
    arn = f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT}:q"
    assert queue_address(arn).url == f"https://sqs.cn-north-1.amazonaws.com.cn/{ACCOUNT}/q"
    assert queue_address(arn).arn == arn


def test_a_queue_arn_on_an_emulator_gives_a_url_of_the_emulator() -> None:
    found = queue_address(f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q", endpoint_url="http://127.0.0.1:4566/")
    assert found.url == f"http://127.0.0.1:4566/{ACCOUNT}/q"


def test_a_queue_name_needs_a_region_and_an_account_to_become_a_url() -> None:
    assert queue_address("q", region="eu-west-1", account=ACCOUNT).url == URL
    assert queue_address("q", region="eu-west-1") == QueueAddress("q", "", "eu-west-1")
    assert queue_address("q").arn == ""


@pytest.mark.parametrize(
    "text",
    [
        "https://sqs.eu-west-1.amazonaws.com/",
        "ftp://sqs.eu-west-1.amazonaws.com/1/q",
        "https://user:pw@sqs.eu-west-1.amazonaws.com/1/q",
        "https:///q",
        "https://host:99999/q",
        "https://host/a q",
        f"arn:aws:sns:eu-west-1:{ACCOUNT}:topic",
        "arn:aws:sqs:eu-west-1:123:q",
        "a queue",
        "q" * 81,
        "q.fifo.x",
    ],
)
def test_what_names_no_queue_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        shape.queue(text)
    assert caught.value.hint


GOOD = [
    (shape.role_arn, "arn:aws:iam::111111111111:role/path/audit-access", None),
    (shape.role_arn, "arn:aws-us-gov:iam::111111111111:role/a", None),
    (shape.queue_role_arn, "none", None),
    (shape.kms_key_arn, "arn:aws:kms:eu-west-1:111111111111:key/mrk-12ab", None),
    (shape.topic_arn, "arn:aws-us-gov:sns:us-gov-west-1:111111111111:audit_topic-1.fifo", None),
    (shape.bucket, "thrive-audit-logs", None),
    (shape.bucket, "arn:aws:s3:::thrive-audit-logs", "thrive-audit-logs"),
    (shape.bucket, "arn:aws:s3:eu-west-1:111111111111:accesspoint/ap", None),
    (shape.account, "000000000000", None),
    (shape.owner, "none", None),
    (shape.region, "us-gov-west-1", None),
    (shape.region, "ap-southeast-2", None),
    (shape.session_name, "a.b@c=d,e+f-_", None),
    (shape.external_id, "a:b/c=d", None),
    (shape.hec_url, "https://splunk.example.com:8088", None),
    (
        shape.hec_url,
        "https://splunk.example.com:8088/services/collector/event/1.0",
        "https://splunk.example.com:8088",
    ),
    (shape.hec_url, "https://splunk.example.com/", "https://splunk.example.com"),
    (shape.hec_url, "http://127.0.0.1:8088", None),
    (shape.hec_url, "http://[::1]:8088", None),
    (shape.endpoint, "http://127.0.0.1:4566/", "http://127.0.0.1:4566"),
    (shape.proxy, "proxy.example.com:3128", "http://proxy.example.com:3128"),
    (shape.proxy, "http://user:pw@proxy.example.com:3128", None),
    (shape.listen, "9090", "127.0.0.1:9090"),
    (shape.listen, "0.0.0.0:9090", None),
    (shape.listen, "[::1]:9090", None),
]


@pytest.mark.parametrize(("check", "text", "normal"), GOOD)
def test_good_names_come_back_in_their_normal_form(
    check: Callable[[str], str], text: str, normal: str
) -> None:
    assert check(text) == (normal or text)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (shape.role_arn, "arn:aws:iam::11111111111:role/short-account"),
        (shape.role_arn, "arn:aws:iam::111111111111:user/ann"),
        (shape.role_arn, "audit-access"),
        (shape.queue_role_arn, "nobody"),
        (shape.kms_key_arn, "arn:aws:kms:eu-west-1:111111111111:alias/audit"),
        (shape.kms_key_arn, "1234abcd-12ab-34cd-56ef-1234567890ab"),
        (shape.topic_arn, "audit-topic"),
        (shape.topic_arn, "arn:aws:sqs:eu-west-1:111111111111:audit-topic"),
        (shape.bucket, "s3://thrive-audit-logs/prefix"),
        (shape.bucket, "thrive/logs"),
        (shape.bucket, "ab"),
        (shape.account, "1111-1111-1111"),
        (shape.region, "Ireland"),
        (shape.region, "eu-west"),
        (shape.session_name, "a"),
        (shape.session_name, "a" * 65),
        (shape.session_name, "audit s3"),
        (shape.external_id, "x"),
        (shape.hec_url, "splunk.example.com:8088"),
        (shape.hec_url, "http://splunk.example.com:8088"),
        (shape.hec_url, "https://splunk.example.com:8000/en-US/app"),
        (shape.hec_url, "https://splunk.example.com:8088?token=x"),
        (shape.hec_url, "https://u:p@splunk.example.com:8088"),
        (shape.endpoint, "http://169.254.169.254/latest"),
        (shape.endpoint, "s3.eu-west-1.amazonaws.com"),
        (shape.listen, "127.0.0.1"),
        (shape.listen, "70000"),
        (shape.listen, "everywhere"),
    ],
)
def test_bad_names_are_refused_with_a_hint(check: Callable[[str], str], text: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(text)
    assert caught.value.hint
