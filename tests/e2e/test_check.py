"""`audit-s3 check`: nothing is received, sent or changed, and each refusal says whose move it is."""

from __future__ import annotations

import json
import subprocess
import sys

from collector.testing.fake_hec import FakeHec
from collector.testing.provider import Provider
from tests.e2e.collector_process import ndjson

KEYS = {"code", "status", "owner", "tried", "answer", "fix"}


def _findings(ours, code):
    done = ours.verb("check", "--format", "json", code=code)
    found = json.loads(done.stdout)["findings"]
    assert all(set(one) == KEYS for one in found)
    return {one["code"]: one for one in found}


def test_a_sound_set_up_reads_an_object_and_leaves_queue_and_output_alone(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    before = provider.queue_depth()
    with FakeHec() as hec:
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token})
        found = _findings(ours, 0)
        assert hec.events == []
    assert found["object"]["answer"] == f"read s3://{provider.bucket}/k/one"
    assert {one["status"] for one in found.values()} <= {"ok", "skipped"}
    assert provider.queue_depth() == before
    assert not (ours.folder / "state").exists()


def test_a_role_that_may_not_read_objects_is_the_providers_move(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    provider.set_rights(provider.least_privilege(without="s3:GetObject"))
    found = _findings(collector(provider.handover()), 1)
    (failed,) = [one for one in found.values() if one["status"] == "failed"]
    assert failed["owner"] == "provider"
    assert "s3:GetObject" in failed["fix"]


def test_a_role_that_may_not_list_is_no_failure_but_not_said_to_be_fine(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.set_rights(provider.least_privilege(without="s3:ListBucket"))
    found = _findings(collector(provider.handover()), 0)
    assert found["object"]["status"] == "skipped"
    assert "listing is denied" in found["object"]["answer"]


def test_a_wrong_token_is_ours_to_mend(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    with FakeHec() as hec:
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": "wrong"})
        found = _findings(ours, 1)
    assert found["hec_token_invalid"]["owner"] == "you"


def test_bytes_that_are_no_text_are_explained_without_a_traceback(collector, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"\xff\xfe\x00")
    command = [sys.executable, "-m", "collector", "explain", str(body)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"quarantined as unknown_body" in done.stdout
    assert done.stderr == b""
