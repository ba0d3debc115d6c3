"""SNS envelopes signed by a key and a certificate made here, as AWS signs them, and as a forger would."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from collector.aws.sns import SnsVerifier, string_to_sign
from collector.aws.sns_certificates import trusted_url
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.notifications import parse
from collector.testing.twins import ManualClock

TOPIC = "arn:aws:sns:us-east-1:111111111111:audit"
URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem"
INNER = json.dumps({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": {
    "bucket": {"name": "audits"}, "object": {"key": "a.json", "eTag": "0f", "size": 3}}}]})

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FORGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(clock: ManualClock, *, days: Tuple[float, float] = (-1, 1), key: Any = KEY) -> bytes:
    """Self-signed, valid from and until so many days from now."""
    now = datetime.fromtimestamp(clock.now(), timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(1).not_valid_before(now + timedelta(days=days[0]))
    signed = draft.not_valid_after(now + timedelta(days=days[1])).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def signed(envelope: Dict[str, Any], *, key: Any = KEY) -> Dict[str, Any]:
    """The envelope with its signature. The text is made here anew, from AWS's page, not by our code."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if envelope["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if envelope.get(name) is not None)
    method = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()
    signature = key.sign(text.encode(), padding.PKCS1v15(), method)
    return {**envelope, "Signature": base64.b64encode(signature).decode()}


def unsigned(**fields: Any) -> Dict[str, Any]:
    envelope = {
        "Type": "Notification",
        "MessageId": "11111111-2222-3333-4444-555555555555",
        "TopicArn": TOPIC,
        "Subject": "Amazon S3 Notification",
        "Message": INNER,
        "Timestamp": "2026-05-04T10:15:03.000Z",
        "SignatureVersion": "1",
        "SigningCertURL": URL,
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
    }
    return {name: value for name, value in {**envelope, **fields}.items() if value is not None}


def envelope(**fields: Any) -> Dict[str, Any]:
    return signed(unsigned(**fields))


CONFIRMATION = {
    "Subject": None,
    "Token": "t",
    "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=C",
}


class Host:
    """What fetches. Answers with `answer`, or raises it; remembers what it was asked for."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: List[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return bytes(self.answer)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def host(clock: ManualClock) -> Host:
    return Host(certificate(clock))


@pytest.fixture
def check(clock: ManualClock, host: Host) -> Callable[[Dict[str, Any]], None]:
    return SnsVerifier("enforce", fetch=host, clock=clock).check


def code_of(check: Callable[..., None], message: Dict[str, Any], kind: type = Poison) -> str:
    with pytest.raises(CollectorError) as caught:
        check(message)
    assert type(caught.value) is kind
    return caught.value.code


# -- what SNS sends


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "Amazon S3 Notification", "Ünïcode\nin two lines"])
def test_what_sns_signed_is_opened(check: Any, version: str, subject: Optional[str]) -> None:
    check(envelope(SignatureVersion=version, Subject=subject))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_confirmations_are_signed_over_their_own_fields(check: Any, version: str, kind: str) -> None:
    message = envelope(Type=kind, SignatureVersion=version, **CONFIRMATION)
    check(message)
    assert code_of(check, {**message, "SubscribeURL": "https://evil.example.com/"}) == "sns_forged"
    assert code_of(check, {**message, "Token": "another"}) == "sns_forged"


def test_the_text_is_the_one_of_the_page_of_aws() -> None:
    message = unsigned(Message="My Test Message", MessageId="4d4dc071", Subject="My subject")
    message["Timestamp"] = "2019-01-31T04:37:04.321Z"
    assert (
        string_to_sign(message)
        == (
            f"Message\nMy Test Message\nMessageId\n4d4dc071\nSubject\nMy subject\n"
            f"Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\n{TOPIC}\nType\nNotification\n"
        ).encode()
    )


def test_fields_that_are_not_signed_may_differ(check: Any) -> None:
    check({**envelope(), "MessageAttributes": {"a": {"Type": "String", "Value": "b"}}, "UnsubscribeURL": "x"})


def test_a_subject_that_is_null_is_no_subject(check: Any) -> None:
    check({**envelope(Subject=None), "Subject": None})


def test_lambda_spells_the_url_of_the_certificate_in_another_way(check: Any) -> None:
    message = envelope()
    message["SigningCertUrl"] = message.pop("SigningCertURL")
    check(message)


def test_china_has_a_suffix_of_its_own(check: Any) -> None:
    topic = "arn:aws-cn:sns:cn-north-1:111111111111:audit"
    url = URL.replace("us-east-1.amazonaws.com", "cn-north-1.amazonaws.com.cn")
    check(envelope(TopicArn=topic, SigningCertURL=url))
    assert code_of(check, envelope(TopicArn=topic, SigningCertURL=url.replace(".cn/", "/"))) == "sns_cert_url"


# -- what a forger sends


@pytest.mark.parametrize("name", ["Message", "MessageId", "Subject", "Timestamp"])
def test_one_changed_byte_is_a_forgery(check: Any, name: str) -> None:
    message = envelope()
    assert code_of(check, {**message, name: message[name] + " "}) == "sns_forged"


def test_a_subject_that_was_added_or_taken_away_is_a_forgery(check: Any) -> None:
    assert code_of(check, {**envelope(Subject=None), "Subject": "Hello"}) == "sns_forged"
    message = envelope()
    del message["Subject"]
    assert code_of(check, message) == "sns_forged"


def test_another_topic_of_the_same_region_cannot_be_claimed(check: Any) -> None:
    assert code_of(check, {**envelope(), "TopicArn": TOPIC + "2"}) == "sns_forged"


def test_a_notification_does_not_pass_as_a_confirmation(check: Any) -> None:
    message = {**envelope(**CONFIRMATION), "Type": "SubscriptionConfirmation"}
    assert code_of(check, message) == "sns_forged"


def test_a_signature_of_one_version_does_not_pass_as_the_other(check: Any) -> None:
    assert code_of(check, {**envelope(SignatureVersion="2"), "SignatureVersion": "1"}) == "sns_forged"


def test_a_signature_by_another_key_is_a_forgery(check: Any) -> None:
    assert code_of(check, signed(unsigned(), key=FORGER)) == "sns_forged"


@pytest.mark.parametrize(
    "change",
    [
        {"Signature": "FAKE"}, {"Signature": "!"}, {"Signature": ""}, {"Signature": None}, {"Signature": 7},
        {"Signature": "ümlaut"}, {"SignatureVersion": "3"}, {"SignatureVersion": None},
        {"SignatureVersion": {"1": 1}}, {"Type": "Other"}, {"Message": 5}, {"Timestamp": None},
        {"Subject": ["x"]},
    ],
)
def test_what_sns_would_never_send_is_a_forgery(check: Any, change: Dict[str, Any]) -> None:
    assert code_of(check, {**envelope(), **change}) == "sns_forged"


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https://sns.us-east-1", "https://s3"),
        URL.replace("amazonaws.com", "evil.amazonaws.com.example.com"),
        URL.replace("amazonaws.com", "amazonaws.com.example.com"),
        URL.replace("amazonaws.com", "amazonaws.com@evil.example.com"),
        URL.replace("https://", "https://user@"),
        URL.replace("https://", "https://evil.example.com/"),
        URL.replace("https://", "https://evil.example.com#"),
        URL.replace("https://sns", "https://evil-sns"),
        URL.replace("https://sns.", "https://sns-"),
        URL.replace(".com/", ".com:443/"),
        URL.replace(".com/", ".com:8443/"),
        URL.replace(".com/", ".com./"),
        URL.replace(".com/", ".com.cn/"),
        URL.replace(".com/", ".com//"),
        URL.replace(".com/", ".com/bucket/"),
        URL.replace(".com/", ".com/../"),
        URL.replace(".com/", ".com\\@evil.example.com/"),
        URL.replace(".com/", ".com\t/"),
        URL.replace("https", "http"),
        URL.replace("https", "HTTPS"),
        URL.replace("https", "file"),
        URL.replace("us-east-1", "us-west-2"),
        URL.replace("us-east-1", "us-east-1.evil"),
        URL.replace("sns.us-east-1.", "sns."),
        URL + "?x=1",
        URL + "#x",
        URL + "\n",
        " " + URL,
        URL.replace(".pem", ".crt"),
        URL.replace("01d088a6", "../../01d088a6"),
        URL.replace("01d088a6", "0xyz88a6"),
        URL.replace("01d088a6", "\u0661d088a6"),
        "http://localhost:4566/SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem",
        "",
        None,
        7,
        [URL],
    ],
)
def test_nothing_is_fetched_from_where_sns_keeps_no_certificates(check: Any, host: Host, url: Any) -> None:
    message = signed({**unsigned(), "SigningCertURL": url})
    assert code_of(check, message) == "sns_cert_url"
    assert host.asked == []


@pytest.mark.parametrize(
    "topic",
    ["", "x", "arn:aws:sns::111111111111:audit", "arn:aws:sqs:us-east-1:111111111111:audit",
     "arn:aws:sns:us-east-1.evil:111111111111:audit", "arn:aws:sns:evil@x:111111111111:audit",
     "arn:aws:sns:us-east-1/x:111111111111:audit", TOPIC + ":more"],
)
def test_a_topic_that_cannot_be_has_no_certificates(topic: str) -> None:
    region = (topic.split(":") + [""] * 4)[3]
    for url in (URL, URL.replace("us-east-1", region)):
        with pytest.raises(Poison) as caught:
            trusted_url(url, topic_arn=topic)
        assert caught.value.code == "sns_cert_url"


# -- certificates


@pytest.mark.parametrize("days", [(-9, -1), (1, 9)])
def test_a_certificate_is_good_between_its_dates_only(clock: ManualClock, days: Tuple[int, int]) -> None:
    verifier = SnsVerifier("enforce", fetch=Host(certificate(clock, days=days)), clock=clock)
    assert code_of(verifier.check, envelope()) == "sns_certificate_invalid"


def test_a_certificate_is_fetched_once(check: Any, host: Host) -> None:
    for version in ("1", "2", "1"):
        check(envelope(SignatureVersion=version))
    code_of(check, {**envelope(), "Message": "other"})
    assert host.asked == [URL]


def test_a_known_certificate_that_expires_is_good_no_longer(
    check: Any, host: Host, clock: ManualClock
) -> None:
    check(envelope())
    clock.advance(2 * 86400)
    assert code_of(check, envelope()) == "sns_certificate_invalid"
    host.answer = certificate(clock)
    assert code_of(check, envelope()) == "sns_certificate_invalid"
    clock.advance(61)
    check(envelope())
    assert len(host.asked) == 3


def test_a_host_that_cannot_be_reached_is_asked_once_a_minute(
    check: Any, host: Host, clock: ManualClock
) -> None:
    good, host.answer = host.answer, Retry("timed out", code="timed_out", hint="Look at the proxy")
    other = URL.replace("01d088a6", "02d088a6")
    for url in (URL, other, URL):
        with pytest.raises(Retry) as caught:
            check(envelope(SigningCertURL=url))
        assert caught.value.code == "sns_certificate_unreachable"
        assert (caught.value.after_seconds, caught.value.hint) == (60.0, "Look at the proxy")
    assert host.asked == [URL]
    clock.advance(59)
    assert code_of(check, envelope(), Retry) == "sns_certificate_unreachable"
    clock.advance(1)
    host.answer = good
    check(envelope())
    assert host.asked == [URL, URL]


def test_no_way_to_the_host_is_not_a_forgery_whatever_stands_in_it(check: Any, host: Host) -> None:
    host.answer = Fatal("not trusted", code="tls_untrusted", scope="config")
    assert code_of(check, envelope(), Retry) == "sns_certificate_unreachable"


@pytest.mark.parametrize("answer", [b"", b"<html>Please log in</html>", b"-----BEGIN CERTIFICATE-----\nx"])
def test_an_answer_that_is_no_certificate_is_not_a_forgery(check: Any, host: Host, answer: bytes) -> None:
    host.answer = answer
    assert code_of(check, envelope(), Retry) == "sns_certificate_unreachable"


def test_a_key_that_is_not_rsa_is_not_from_sns(check: Any, host: Host, clock: ManualClock) -> None:
    host.answer = certificate(clock, key=ec.generate_private_key(ec.SECP256R1()))
    assert code_of(check, envelope(), Retry) == "sns_certificate_unreachable"


def test_a_certificate_that_does_not_exist_is_a_forgery_and_hides_no_other(check: Any, host: Host) -> None:
    good, missing = host.answer, URL.replace("01d088a6", "02d088a6")
    host.answer = Poison("404", code="sns_certificate_missing")
    for _ in range(3):
        assert code_of(check, envelope(SigningCertURL=missing)) == "sns_certificate_missing"
    host.answer = good
    check(envelope())
    assert host.asked == [missing, URL]


def test_many_names_do_not_fill_the_memory(clock: ManualClock) -> None:
    host = Host(Poison("404", code="sns_certificate_missing"))
    verifier = SnsVerifier("enforce", fetch=host, clock=clock)
    for number in range(300):
        url = URL.replace("01d088a6", f"{number:08x}")
        assert code_of(verifier.check, envelope(SigningCertURL=url)) == "sns_certificate_missing"
        clock.advance(61)
    assert len(verifier._certificates._failed) <= 100


NO_CERTIFICATE = [Poison("404", code="sns_certificate_missing"), Retry("no way", code="timed_out")]


@pytest.mark.parametrize("answer", NO_CERTIFICATE)
def test_a_flood_of_names_and_regions_is_five_requests_a_minute(clock: ManualClock, answer: Any) -> None:
    host = Host(answer)
    verifier = SnsVerifier("enforce", fetch=host, clock=clock)
    for number in range(60):
        region = f"{'abcdefghij'[number % 10]}x-east-{number // 10 + 1}"
        url = URL.replace("us-east-1", region)
        with pytest.raises(CollectorError):
            verifier.check(envelope(SigningCertURL=url, TopicArn=TOPIC.replace("us-east-1", region)))
    assert len(host.asked) == 5
    host.answer = certificate(clock)
    clock.advance(61)
    verifier.check(envelope())


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("shared", ["folder", "file"])
def test_a_certificate_that_others_may_write_is_not_believed(
    clock: ManualClock, tmp_path: Path, shared: str
) -> None:
    host = Host(certificate(clock))
    verifier = SnsVerifier("enforce", fetch=host, clock=clock, folder=tmp_path)
    path = tmp_path / URL.rsplit("/", 1)[1]
    path.write_bytes(certificate(clock, key=FORGER))
    (tmp_path if shared == "folder" else path).chmod(0o777)
    code = code_of(verifier.check, signed(unsigned(), key=FORGER), kind=Retry)
    assert (code, host.asked) == ("sns_certificate_unreachable", [])


def test_a_certificate_in_the_folder_is_not_fetched(clock: ManualClock, tmp_path: Path) -> None:
    host = Host(Retry("no way", code="timed_out"))
    verifier = SnsVerifier("enforce", fetch=host, clock=clock, folder=tmp_path)
    (tmp_path / URL.rsplit("/", 1)[1]).write_bytes(certificate(clock))
    verifier.check(envelope())
    assert code_of(verifier.check, {**envelope(), "Message": "x"}) == "sns_forged"
    assert host.asked == []


def test_an_old_certificate_in_the_folder_is_fetched_anew(clock: ManualClock, tmp_path: Path) -> None:
    host = Host(certificate(clock))
    (tmp_path / URL.rsplit("/", 1)[1]).write_bytes(certificate(clock, days=(-9, -1)))
    SnsVerifier("enforce", fetch=host, clock=clock, folder=tmp_path).check(envelope())
    assert host.asked == [URL]


# -- the three modes


def test_off_looks_at_nothing(clock: ManualClock, host: Host, caplog: pytest.LogCaptureFixture) -> None:
    verifier = SnsVerifier("off", fetch=host, clock=clock)
    verifier.check({**envelope(), "Message": "forged"})
    verifier.check({})
    assert (host.asked, caplog.records) == ([], [])


def test_warn_says_it_once_an_hour_for_each_topic(
    clock: ManualClock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = SnsVerifier("warn", fetch=host, clock=clock)
    for _ in range(50):
        verifier.check({**envelope(), "Signature": "FAKE", "SigningCertURL": "http://localhost:4566/x.pem"})
    assert len(caplog.records) == 1
    assert TOPIC in caplog.text and "sns_cert_url" in caplog.text and host.asked == []
    verifier.check({**envelope(), "TopicArn": TOPIC + "2", "SigningCertURL": "x"})
    assert len(caplog.records) == 2
    clock.advance(3600)
    verifier.check({**envelope(), "SigningCertURL": "x"})
    assert len(caplog.records) == 3 and "more_since_last_warning=49" in caplog.messages[-1]


def test_warn_says_nothing_of_what_is_in_order(
    clock: ManualClock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    SnsVerifier("warn", fetch=host, clock=clock).check(envelope())
    assert caplog.records == []


def test_warn_does_not_wait_for_a_host_that_cannot_be_reached(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(Retry("timed out", code="timed_out"))
    verifier = SnsVerifier("warn", fetch=host, clock=clock)
    for _ in range(50):
        verifier.check(envelope())
    assert (len(host.asked), len(caplog.records)) == (1, 1)


def test_many_topics_share_one_warning(
    clock: ManualClock, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = SnsVerifier("warn", fetch=host, clock=clock)
    for number in range(1000):
        verifier.check({**envelope(), "TopicArn": f"{TOPIC}{number}", "SigningCertURL": "x"})
    assert len(caplog.records) <= 101


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


GENUINE = envelope()


@given(st.dictionaries(st.sampled_from(sorted(GENUINE)), JSON))
def test_only_the_documented_errors_come_of_any_envelope(change: Dict[str, Any]) -> None:
    clock = ManualClock()
    broken = {**GENUINE, **change}
    SnsVerifier("warn", fetch=Host(b""), clock=clock).check(broken)
    try:
        SnsVerifier("enforce", fetch=Host(b""), clock=clock).check(broken)
    except (Poison, Retry) as error:
        assert error.code.startswith("sns_")


# -- without cryptography


@pytest.fixture
def no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)


def test_enforce_without_cryptography_does_not_start(
    no_cryptography: None, clock: ManualClock, host: Host
) -> None:
    with pytest.raises(Fatal) as caught:
        SnsVerifier("enforce", fetch=host, clock=clock)
    assert (caught.value.code, caught.value.scope) == ("sns_needs_cryptography", "config")


def test_warn_without_cryptography_says_so_once(
    clock: ManualClock, host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [envelope(), envelope(TopicArn=TOPIC + "2"), {**envelope(), "Message": "x"}]
    monkeypatch.setitem(sys.modules, "cryptography", None)
    verifier = SnsVerifier("warn", fetch=host, clock=clock)
    for message in messages:
        verifier.check(message)
    assert len(caplog.records) == 1 and "cryptography" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING and host.asked == []


# -- in a body


def verifier_of(mode: str) -> Callable[[Any], None]:
    clock = ManualClock()
    return SnsVerifier(mode, fetch=Host(certificate(clock)), clock=clock).check


def inside(message: Dict[str, Any]) -> Dict[str, str]:
    """The ways in which an envelope may arrive."""
    alone = json.dumps(message)
    return {
        "alone": alone,
        "as a string": json.dumps(alone),
        "twice": json.dumps(envelope(Message=alone)),
        "in a list": f"[{alone}]",
        "through lambda": json.dumps({"Records": [{"EventSource": "aws:sns", "Sns": message}]}),
        "behind sqs": json.dumps({"Records": [{"messageId": "m", "body": alone}]}),
    }


@pytest.mark.parametrize("way", sorted(inside({})))
def test_a_forged_envelope_is_poison_where_signatures_are_enforced(way: str) -> None:
    forged = inside({**envelope(), "Timestamp": "2020-01-01T00:00:00.000Z"})[way]
    with pytest.raises(Poison) as caught:
        parse(forged, verify=verifier_of("enforce"))
    assert caught.value.code == "sns_forged"
    for mode in ("warn", "off"):
        assert [ref.key for ref in parse(forged, verify=verifier_of(mode)).refs] == ["a.json"]


@pytest.mark.parametrize("way", sorted(inside({})))
def test_a_signed_envelope_is_opened_wherever_it_is(way: str) -> None:
    found = parse(inside(envelope())[way], verify=verifier_of("enforce"))
    assert [ref.key for ref in found.refs] == ["a.json"]


@pytest.mark.parametrize("body", [INNER, json.dumps({"Event": "s3:TestEvent", "Bucket": "audits"})])
def test_what_has_no_envelope_has_no_signature_and_passes(body: str) -> None:
    assert parse(body, verify=verifier_of("enforce")) == parse(body)


def test_a_forged_confirmation_is_poison_too() -> None:
    forged = envelope(Type="SubscriptionConfirmation", **CONFIRMATION)
    with pytest.raises(Poison, match="sns_unconfirmed"):
        parse(json.dumps(forged), verify=verifier_of("enforce"))
    with pytest.raises(Poison, match="sns_forged"):
        parse(json.dumps({**forged, "Token": "x"}), verify=verifier_of("enforce"))


def test_a_certificate_that_cannot_be_had_is_no_verdict_on_the_body() -> None:
    verifier = SnsVerifier("enforce", fetch=Host(Retry("x", code="timed_out")), clock=ManualClock())
    with pytest.raises(Retry):
        parse(json.dumps(envelope()), verify=verifier.check)


# -- whose topic -----------------------------------------------------------------------------------


def test_a_well_signed_message_of_a_foreign_topic_is_refused_without_a_fetch(clock: ManualClock) -> None:
    host = Host(certificate(clock))
    ours = [TOPIC.replace("111111111111", "222222222222"), TOPIC + "-2"]
    verifier = SnsVerifier("enforce", fetch=host, clock=clock, topics=ours)
    with pytest.raises(Poison, match="foreign_topic"):
        verifier.check(envelope())
    assert host.asked == []


def test_a_topic_on_the_list_is_verified_as_ever(clock: ManualClock) -> None:
    host = Host(certificate(clock))
    verifier = SnsVerifier("enforce", fetch=host, clock=clock, topics=["arn:aws:sns:x", TOPIC])
    verifier.check(envelope())
    with pytest.raises(Poison, match="sns_forged"):
        verifier.check({**envelope(), "Message": "changed"})


def test_a_foreign_topic_is_warned_of_and_delivered_with_warn(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    SnsVerifier("warn", fetch=Host(b""), clock=clock, topics=["arn:aws:sns:x"]).check(envelope())
    assert "foreign_topic" in caplog.text


def test_no_topic_is_looked_at_with_off(clock: ManualClock) -> None:
    SnsVerifier("off", fetch=Host(b""), clock=clock, topics=["arn:aws:sns:x"]).check(envelope())
