"""The service for years: systemd told of it, reloads, keys that rotate, and each input's trouble its own."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from typing import Any, Dict, Iterator, Mapping

import pytest

from collector.hosts.service.mounts import throw_away
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import CUSTOMER
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, environment, ndjson, wait_for
from tests.e2e.notified import Listener

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")

#: The program, whose engine can be brought to a standstill from outside: SIGUSR1 takes its lock for good.
STANDSTILL = """
import signal, sys, threading
from collector.runtime import runner, threads
from collector.hosts.cli import main
threads.LOCK_SECONDS = 0.5
made = []
start = runner.Runner.start
def kept(self):
    made.append(self)
    start(self)
runner.Runner.start = kept
def hold(*_):
    held = made[0]._lock
    threading.Thread(target=lambda: (held.acquire(), threading.Event().wait()), daemon=True).start()
signal.signal(signal.SIGUSR1, hold)
main(sys.argv[1:])
"""


@pytest.fixture
def systemd() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


class Service(Collector):
    """Several inputs in one file; `settings` are those of all."""

    def write(self, inputs: Mapping[str, Mapping[str, Any]], **settings: Any) -> None:
        own = {"checkpoint_dir": self.folder / "state", "start_from": "retention", "wait_time_seconds": 1}
        stanzas = {"audit_s3": {**own, **settings}}
        stanzas.update({f"audit_s3://{name}": dict(one) for name, one in inputs.items()})
        lines = []
        for stanza, values in stanzas.items():
            lines += [f"[{stanza}]", *(f"{name} = {value}" for name, value in values.items())]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def begin(self, *program: str, **more: str) -> subprocess.Popen[bytes]:
        """The service in the background, with more in its environment."""
        out, log = (self.folder / "out").open("ab"), (self.folder / "log").open("ab")
        command = [sys.executable, *(program or ("-m", "collector")), "run", "--config", str(self.config)]
        process = subprocess.Popen(
            command, env={**environment(), **more}, stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        self._running.append(process)
        return process

    def secret(self, name: str, text: str) -> str:
        """A file with a secret, put in its place in one step, and the reference to it."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(text)
        os.replace(fresh, self.folder / name)
        return f"file:{self.folder / name}"

    def ids(self) -> Counter[str]:
        out = self.folder / "out"
        return Counter(json.loads(line)["eventId"] for line in (self.output() if out.exists() else []))

    def has(self, *names: str, events: int = 2) -> bool:
        found = self.ids()
        return all(found[f"{name}-{i}"] for name in names for i in range(events))


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    made = Service(tmp_path, {})
    yield made
    made.end()


@pytest.fixture
def aws(ministack: Any) -> Any:
    ministack.reset()
    return ministack


def _each_once(found: Mapping[str, int]) -> bool:
    return set(found.values()) == {1}


# -- systemd ------------------------------------------------------------------------------------


def test_systemd_is_told_of_the_whole_life_of_the_service(aws, service, systemd):
    provider = Provider(aws, "thrive")
    service.write({"thrive": provider.handover()})
    process = service.begin(**systemd.environment(watchdog_seconds=3))
    wait_for(lambda: systemd.said("READY"))
    provider.upload("k/one", ndjson("one", 2))
    wait_for(lambda: service.has("one"))
    wait_for(lambda: any(text.startswith("1 of 1 inputs collect") for text in systemd.said("STATUS")))
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(systemd.said("READY")) == 2)
    assert int(systemd.said("MONOTONIC_USEC")[0]) > 0
    service.stop(process)
    assert process.returncode == 0
    assert systemd.order("READY", "RELOADING", "STOPPING") == ["READY", "RELOADING", "READY", "STOPPING"]
    assert int(systemd.said("EXTEND_TIMEOUT_USEC")[-1]) >= 10_000_000
    assert "quarantine 0 bytes" in systemd.said("STATUS")[1]


def test_an_engine_that_stands_still_feeds_no_watchdog_and_says_where_its_threads_are(aws, service, systemd):
    provider = Provider(aws, "thrive")
    service.write({"thrive": provider.handover()})
    process = service.begin("-c", STANDSTILL, **systemd.environment(watchdog_seconds=1.5))
    wait_for(lambda: systemd.said("READY"))
    wait_for(lambda: len(systemd.said("WATCHDOG")) > 3)
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: systemd.silent_seconds() > 3)
    assert "stands still" in service.log
    assert "its lock has not been given back" in service.log
    process.send_signal(signal.SIGABRT)  # as systemd does
    process.wait(60)
    assert process.returncode == -signal.SIGABRT
    assert "station.py" in service.log.partition("Fatal Python error: Aborted")[2]


@pytest.mark.exhaustive
def test_several_processes_are_ready_when_all_are_and_are_reloaded_together(aws, service, systemd):
    provider = Provider(aws, "thrive")
    hec = {"output": "hec", "hec_url": "http://127.0.0.1:9", "hec_token": service.secret("token", "t")}
    service.write({"thrive": provider.handover()}, processes=2, **hec)
    process = service.begin(**systemd.environment(watchdog_seconds=3))
    wait_for(lambda: systemd.said("READY"), seconds=60)
    wait_for(lambda: "process 1: 1 of 1 inputs collect" in systemd.said("STATUS")[-1])
    wait_for(lambda: service.log.count("Collecting.") == 2)  # a log is written a moment after it is said
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: systemd.order("READY", "RELOADING") == ["READY", "RELOADING", "READY"])
    wait_for(lambda: service.log.count("The configuration was read again.") == 2)
    service.stop(process)
    assert process.returncode == 0
    assert systemd.order("READY", "RELOADING", "STOPPING")[-1] == "STOPPING"


# -- reload -------------------------------------------------------------------------------------


def test_a_reload_changes_what_has_changed_and_loses_and_repeats_nothing(aws, service):
    stays, goes, comes, changes = (Provider(aws, name) for name in ("stays", "goes", "comes", "changes"))
    service.write({one.name: one.handover() for one in (stays, goes, changes)})
    process = service.begin()
    wait_for(lambda: service.log.count("Collecting.") == 3)
    uploaded = 0
    for uploaded in range(12):
        for one in (stays, changes):
            one.upload(f"k/{uploaded}", ndjson(f"{one.name}{uploaded}", 50))
        if uploaded == 5:
            changed = {**changes.handover(), "source": "changed"}
            service.write({"stays": stays.handover(), "changes": changed, "comes": comes.handover()})
            process.send_signal(signal.SIGHUP)
    wait_for(lambda: "unchanged=stays stopped=goes,changes started=changes,comes" in service.log)
    goes.upload("k/late", ndjson("late", 2))
    comes.upload("k/new", ndjson("new", 2))
    names = [f"{one}{number}" for one in ("stays", "changes") for number in range(uploaded + 1)]
    wait_for(lambda: service.has(*names, events=50) and service.has("new"))
    wait_for(lambda: stays.queue_depth() + changes.queue_depth() + comes.queue_depth() == 0)
    service.stop(process)
    assert process.returncode == 0, service.log
    assert _each_once(service.ids())
    assert not service.has("late")
    assert goes.queue_depth() == 1


def test_a_wrong_new_configuration_is_refused_and_the_old_one_goes_on(aws, service):
    provider = Provider(aws, "thrive")
    service.write({"thrive": provider.handover()})
    process = service.begin()
    wait_for(lambda: "Collecting." in service.log)
    service.write({"thrive": {**provider.handover(), "bukket": "x", "workers": "many"}})
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "is refused; the old one goes on" in service.log)
    (line,) = [line for line in service.log.splitlines() if "is refused" in line]
    assert "bukket" in line
    assert "workers" in line
    assert "\\n" not in line, "the problems are parted, not their line ends spelt"
    provider.upload("k/one", ndjson("one", 2))
    wait_for(lambda: service.has("one"))
    service.stop(process)
    assert process.returncode == 0
    assert service.log.count("Collecting.") == 1


def test_what_takes_a_restart_is_said_and_not_done(aws, service, address):
    provider = Provider(aws, "thrive")
    service.write({"thrive": provider.handover()})
    process = service.begin()
    wait_for(lambda: "Collecting." in service.log)
    service.write({"thrive": provider.handover()}, http_listen=address)
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "A new http_listen takes a restart" in service.log)
    service.stop(process)
    assert "Status page" not in service.log


# -- keys that rotate ---------------------------------------------------------------------------


def _hec_service(service: Service, provider: Provider, hec: FakeHec) -> Dict[str, Any]:
    reference = service.secret("hec-token", hec.token)
    return {**provider.handover(), "output": "hec", "hec_url": hec.url, "hec_token": reference}


def _tokens(hec: FakeHec) -> list[str]:
    return [request.headers["authorization"].split()[-1] for request in hec.requests]


@pytest.mark.parametrize("acks", [False, True])
def test_a_new_hec_token_is_taken_up_without_a_restart(aws, service, acks):
    provider = Provider(aws, "thrive")
    new = "22222222-2222-4333-8444-555555555555"
    with FakeHec(acks=acks) as hec:
        service.write({"thrive": _hec_service(service, provider, hec)})
        process = service.begin()
        provider.upload("k/one", ndjson("one", 2))
        wait_for(lambda: len(hec.events) == 2 and provider.queue_depth() == 0)
        service.secret("hec-token", new)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "The HEC token has changed." in service.log)
        hec.token = new  # the overlap is over
        provider.upload("k/two", ndjson("two", 2))
        wait_for(lambda: len(hec.events) == 4 and provider.queue_depth() == 0)
        service.stop(process)
        assert _tokens(hec)[-1] == new
    assert service.log.count("Collecting.") == 1
    assert "[hec_token" not in service.log
    assert new not in service.log


def test_a_refused_hec_token_is_read_again_before_anything_stops(aws, service):
    provider = Provider(aws, "thrive")
    new = "22222222-2222-4333-8444-555555555555"
    with FakeHec() as hec:
        service.write({"thrive": _hec_service(service, provider, hec)})
        process = service.begin()
        provider.upload("k/one", ndjson("one", 2))
        wait_for(lambda: len(hec.events) == 2 and provider.queue_depth() == 0)
        service.secret("hec-token", new)
        hec.token = new
        provider.upload("k/two", ndjson("two", 2))
        wait_for(lambda: len(hec.events) == 4 and provider.queue_depth() == 0)
        service.stop(process)
    assert process.returncode == 0
    assert "[hec_token" not in service.log
    assert Counter(event["event"]["eventId"] for event in hec.events).most_common(1)[0][1] == 1


@pytest.mark.parametrize(("role", "told"), [(True, True), (False, True), (False, False)])
def test_new_access_keys_are_taken_up_without_a_restart(aws, service, role, told):
    provider = Provider(aws, "thrive", role=role)
    old = {"aws_access_key_id": provider.access_key_id, "aws_secret_access_key": provider.secret_access_key}
    references = {name: service.secret(name, text) for name, text in old.items()}
    service.write({"thrive": {**provider.handover(), **references, "role_duration_seconds": 900}})
    process = service.begin()
    provider.upload("k/one", ndjson("one", 2))
    wait_for(lambda: service.has("one") and provider.queue_depth() == 0)
    account = {"account": CUSTOMER} if role else {}
    iam, user = aws.client("iam", **account), "thrive-collector"
    fresh = iam.create_access_key(UserName=user)["AccessKey"]
    service.secret("aws_access_key_id", fresh["AccessKeyId"])
    service.secret("aws_secret_access_key", fresh["SecretAccessKey"])
    if told:
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "The access keys have changed." in service.log)
    iam.delete_access_key(UserName=user, AccessKeyId=old["aws_access_key_id"])
    provider.upload("k/two", ndjson("two", 2))
    wait_for(lambda: service.has("two") and provider.queue_depth() == 0)
    service.stop(process)
    assert process.returncode == 0, service.log
    assert service.log.count("Collecting.") == 1
    assert "[credentials_" not in service.log, "no call has failed for it"
    assert _each_once(service.ids())


def test_a_web_identity_signs_in_place_of_keys(aws, service):
    """As Kubernetes hands it to a pod: a token in a file, which STS takes for credentials of a role."""
    provider = Provider(aws, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    iam, issuer = aws.client("iam"), "arn:aws:iam::111111111111:oidc-provider/oidc.example.com"
    trust = {
        "Effect": "Allow", "Principal": {"Federated": issuer}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"oidc.example.com:sub": "system:serviceaccount:logs:audit-s3"}},
    }
    role = iam.create_role(
        RoleName="pod", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName="pod", PolicyName="p", PolicyDocument=provider.least_privilege())
    theirs = ("aws_access_key_id", "aws_secret_access_key", "role_arn", "external_id")
    given = {name: text for name, text in provider.handover().items() if name not in theirs}
    service.write({"thrive": given})
    claims = {"iss": "https://oidc.example.com", "sub": "system:serviceaccount:logs:audit-s3"}
    header, payload = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({}, claims))
    service.secret("token", f"{header.decode()}.{payload.decode()}.signature")
    identity = {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": str(service.folder / "token")}
    process = service.begin(**identity, AWS_EC2_METADATA_DISABLED="true")
    wait_for(lambda: service.has("one") and provider.queue_depth() == 0)
    service.stop(process)
    assert process.returncode == 0, service.log


# -- where it lies ------------------------------------------------------------------------------


@pytest.mark.skipif(throw_away("/dev/shm") != "tmpfs", reason="/dev/shm is no tmpfs here")
def test_checkpoints_that_will_be_thrown_away_are_one_line_at_the_start(aws, service):
    provider = Provider(aws, "thrive")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        service.write({"thrive": provider.handover()}, checkpoint_dir=folder)
        process = service.begin()
        wait_for(lambda: "Collecting." in service.log)
        service.stop(process)
        lines = [line for line in service.log.splitlines() if "The checkpoints lie on tmpfs" in line]
        assert [line.rpartition("checkpoint_dir=")[2] for line in lines] == [folder]
        assert " WARNING " in lines[0]


# -- isolation ----------------------------------------------------------------------------------


def test_two_broken_inputs_do_not_stop_the_third(aws, service):
    well, denied, damaged = (Provider(aws, name) for name in ("well", "denied", "damaged"))
    state = service.folder / "state"
    state.mkdir(mode=0o700)
    (state / "damaged.sqlite3").write_bytes(b"SQLite format 3\0" + b"this is none" * 900)
    wrong = {"role_arn": denied.role_arn.replace("denied-audit-access", "nobody")}
    service.write({
        "denied": {**denied.handover(), **wrong}, "damaged": damaged.handover(), "well": well.handover(),
    })
    for one in (well, denied, damaged):
        one.upload("k/one", ndjson(one.name, 2))
    process = service.begin()
    wait_for(lambda: service.has("well", "damaged"))
    wait_for(lambda: "[role_denied]" in service.log)
    well.upload("k/two", ndjson("two", 2))
    wait_for(lambda: service.has("two"))
    wait_for(lambda: well.queue_depth() + damaged.queue_depth() == 0)
    assert process.poll() is None
    service.stop(process)
    assert "was damaged and is set aside" in service.log
    assert denied.queue_depth() == 2, "S3's own test event and the object's wait for the role"
    assert _each_once(service.ids())


@pytest.mark.exhaustive
def test_reloads_one_after_the_other_under_load_repeat_nothing_that_hec_has_acknowledged(aws, service):
    provider = Provider(aws, "thrive")
    with FakeHec(acks=True) as hec:
        hec.latency_seconds = 0.05
        given = {**_hec_service(service, provider, hec), "visibility_timeout_seconds": 60}
        service.write({"thrive": given})
        process = service.begin()
        wait_for(lambda: "Collecting." in service.log)
        for number in range(60):
            provider.upload(f"k/{number}", ndjson(f"o{number}-", 200))
            if number % 10 == 9:
                service.write({"thrive": {**given, "source": f"reloaded-{number}"}})
                process.send_signal(signal.SIGHUP)
                wait_for(lambda done=number // 10: service.log.count("configuration was read again") > done)
        wait_for(lambda: len(hec.events) >= 60 * 200 and provider.queue_depth() == 0, seconds=90)
        service.stop(process)
        found = Counter(event["event"]["eventId"] for event in hec.events)
    assert process.returncode == 0, service.log
    assert service.log.count("The configuration was read again.") == 6
    assert len(found) == 60 * 200
    assert _each_once(found)
