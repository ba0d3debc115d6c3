"""The image and the Deployment, which are not built here: what can be said of them by reading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

import collector
from collector.config import load
from collector.hosts.web.server import routes
from tests.packaging.units import ROOT

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
DOCKERFILE = ROOT / "packaging" / "Dockerfile"
INSTRUCTIONS = frozenset(
    "FROM WORKDIR RUN COPY ENV USER EXPOSE STOPSIGNAL ENTRYPOINT CMD ARG LABEL HEALTHCHECK VOLUME".split()
)
STATE = "/var/lib/audit-s3"


def _instructions() -> List[Tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def _values(word: str) -> List[str]:
    return [rest for found, rest in _instructions() if found == word]


@pytest.fixture(scope="module")
def documents() -> Dict[str, Any]:
    text = (ROOT / "packaging" / "kubernetes.yaml").read_text(encoding="utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


@pytest.fixture
def pod(documents) -> Dict[str, Any]:
    return documents["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod) -> Dict[str, Any]:
    (only,) = pod["containers"]
    return only


def test_every_line_of_the_dockerfile_is_an_instruction():
    assert {word for word, _ in _instructions()} <= INSTRUCTIONS


def test_every_image_is_pinned_to_a_version_of_python_that_we_support():
    for image in _values("FROM"):
        assert re.fullmatch(r"python:3\.1[0-3]-slim-\w+( AS \w+)?", image), image


def test_the_image_runs_as_a_user_by_number_and_as_nobody_else():
    users = _values("USER")
    assert [user.split(":")[0].isdigit() and user != "0" for user in users] == [True]
    after = [word for word, _ in _instructions()]
    assert "RUN" not in after[after.index("USER"):]


def test_what_is_copied_into_the_image_is_there():
    for rest in _values("COPY"):
        if not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_every_package_of_the_image_is_pinned_by_hash_but_our_own():
    parts = [part for run in _values("RUN") for part in run.split("&&")]
    installs = [part for part in parts if " install --no-cache-dir" in part]
    assert len(installs) == 3
    assert [("--require-hashes" in part) or part.split()[-1] == "." for part in installs] == [True] * 3


def test_a_volume_that_nobody_mounted_is_not_hidden_by_an_unnamed_one():
    assert _values("VOLUME") == []
    assert f"STATE_DIRECTORY={STATE}" in _values("ENV")[0]


def test_the_image_runs_the_program_itself_so_that_signals_reach_it():
    (entry,), (command,) = _values("ENTRYPOINT"), _values("CMD")
    assert entry == '["/opt/audit-s3/bin/audit-s3"]'
    assert command == '["run", "--config", "/etc/audit-s3/audit-s3.conf"]'


def test_both_say_that_they_are_not_built_here():
    for name in ("Dockerfile", "kubernetes.yaml"):
        head = (ROOT / "packaging" / name).read_text(encoding="utf-8")[:400]
        assert re.search(r"It is not (built|applied) in this repository's own tests", head)


def test_the_deployment_may_do_nothing_that_it_need_not(pod, container):
    of_pod = pod["securityContext"]
    assert of_pod["runAsNonRoot"] is True
    assert _values("USER") == [f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}"]
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert container["image"].endswith(f":{collector.__version__}")


def test_the_probes_ask_pages_that_there_are(container):
    paths = [container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")]
    assert paths == ["/healthz", "/healthz", "/readyz"]
    served = ROOT / "collector" / "hosts" / "web" / "server.py"
    assert routes.__module__ == "collector.hosts.web.server"
    assert all(f'"{path}"' in served.read_text(encoding="utf-8") for path in paths)


def test_checkpoints_lie_on_a_volume_that_outlives_the_pod(pod, container):
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert set(mounts.values()) == set(volumes)
    assert "persistentVolumeClaim" in volumes[mounts[STATE]]
    assert pod["terminationGracePeriodSeconds"] > 10


def test_two_collectors_never_share_the_volume(documents):
    assert documents["Deployment"]["spec"]["replicas"] == 1
    assert documents["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}


def test_names_in_the_deployment_lead_to_what_is_there(documents, pod):
    assert pod["serviceAccountName"] == documents["ServiceAccount"]["metadata"]["name"]
    sources = {each["name"]: each for each in pod["volumes"]}
    assert sources["config"]["configMap"]["name"] == documents["ConfigMap"]["metadata"]["name"]
    assert sources["secrets"]["secret"]["secretName"] == documents["Secret"]["metadata"]["name"]
    claim = documents["PersistentVolumeClaim"]["metadata"]["name"]
    assert sources["state"]["persistentVolumeClaim"]["claimName"] == claim


def test_its_configuration_is_one_that_the_program_takes(documents, container, tmp_path: Path):
    text = documents["ConfigMap"]["data"]["audit-s3.conf"]
    (tmp_path / "hec-token").write_text("a-token")
    config = tmp_path / "audit-s3.conf"
    config.write_text(text.replace("/etc/audit-s3/secrets/", f"{tmp_path}/"), encoding="utf-8")
    (found,) = load(config_path=str(config), environ={"STATE_DIRECTORY": STATE})
    assert found.settings.checkpoint_dir == STATE
    port = container["ports"][0]["containerPort"]
    assert found.settings.http_listen == f"0.0.0.0:{port}"
