"""What `make app` builds: what is in it, what is not, and that lib/ is all it needs of packages."""

from __future__ import annotations

import ast
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Dict, List

import pytest

import collector
from collector.config.conf import parse
from collector.hosts.splunkd.rest import REALM
from requirements.environment import find
from tests.splunk.app_package import (
    APP_ID,
    BUILDER,
    ROOT,
    SPLUNKS_PYTHONS,
    bare,
    build,
    builder,
    unpack,
)

#: Imports every module under lib/collector, and says which modules came from neither lib/ nor Python itself.
IMPORT_ALL = """
import importlib, json, os, pathlib, sys
lib = sys.argv[1]
sys.path[0:0] = [lib]
paths = sorted(pathlib.Path(lib, "collector").rglob("*.py"))
names = [".".join(path.relative_to(lib).with_suffix("").parts) for path in paths]
for name in names:
    importlib.import_module(name[:-9] if name.endswith(".__init__") else name)
import boto3, botocore.session, splunklib.client, splunklib.modularinput
for service in ("cloudtrail", "dynamodb", "kms", "s3", "sqs", "sts"):
    boto3.client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
import threading
from collector.schedule import Timetable
timetable, ran = Timetable(), threading.Event()
timetable.every(60, ran.set, first_after_seconds=0)
timetable.start()
assert ran.wait(30)
timetable.stop()
own = (lib + os.sep, os.path.dirname(os.__file__) + os.sep)
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
foreign = [file for file in files if file and not os.path.abspath(file).startswith(own)]
from collector.accel import active
print(json.dumps({"imported": len(names), "foreign": foreign, "accelerators": active()}))
"""

#: One known answer of AES-GCM: NIST's test case 14 (a key and a block of zeros).
DECRYPT = """
import sys
sys.path[0:0] = [sys.argv[1]]
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
sealed = bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
assert AESGCM(bytes(32)).decrypt(bytes(12), sealed, None) == bytes(16)
"""


@pytest.fixture(scope="module")
def app(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(package, tmp_path_factory.mktemp("apps"))


@pytest.fixture(scope="module")
def members(package: Path) -> List[tarfile.TarInfo]:
    with tarfile.open(package) as tar:
        return tar.getmembers()


def test_two_builds_are_the_same_bytes(package: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    before = os.umask(0o077)
    try:
        again = build(tmp_path, interpreter=find("3.11") or sys.executable)
    finally:
        os.umask(before)
    assert again.name == package.name == f"{APP_ID}-{collector.__version__}.tgz"
    assert again.read_bytes() == package.read_bytes()


def test_every_member_is_a_plain_file_or_folder_of_nobody_with_a_mode_that_splunk_accepts(members) -> None:
    assert [each.name for each in members] == sorted(each.name for each in members)
    for each in members:
        assert each.name == APP_ID or each.name.startswith(f"{APP_ID}/")
        assert each.isdir() or each.isreg(), each.name
        assert each.mode == (0o755 if each.isdir() else 0o644), each.name
        assert (each.uid, each.gid, each.uname, each.gname) == (0, 0, "", ""), each.name


def test_nothing_is_in_it_that_belongs_to_a_checkout_a_machine_or_an_administrator(members) -> None:
    names = [each.name[len(APP_ID) + 1 :] for each in members]
    parts = {part for name in names for part in name.split("/")}
    assert not {part for part in parts if part.startswith(".") or part.endswith((".pyc", "~"))}
    assert not parts & {"local", "__pycache__", "tests", "node_modules"}
    assert not [name for name in names if name.endswith((".so", ".pyd", ".dll", ".exe", ".sh"))]
    assert "metadata/local.meta" not in names


def test_everything_in_the_folders_of_the_app_is_in_it(app: Path) -> None:
    for folder in builder("build").FOLDERS:
        here = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        here = {path for path in here if "__pycache__" not in path.parts and not path.name.startswith(".")}
        packed = {path.relative_to(app) for path in (app / folder).rglob("*") if path.is_file()}
        assert packed == here
    for name in ("LICENSE", "README.md", "app.manifest"):
        assert (app / name).read_bytes() == (ROOT / name).read_bytes()


def test_what_only_the_program_needs_stays_out(app: Path) -> None:
    lib = app / "lib"
    for name in ("collector/testing", "collector/hosts/cli", "collector/__main__.py", "click", "rich"):
        assert not (lib / name).exists()
    assert sorted(path.name for path in (lib / "botocore" / "data").iterdir() if path.is_dir()) == [
        "cloudtrail", "dynamodb", "kms", "s3", "sqs", "sts",
    ]


@pytest.mark.parametrize("version", SPLUNKS_PYTHONS)
def test_every_module_can_be_imported_with_nothing_but_lib(app: Path, version: str) -> None:
    said = _run(version, IMPORT_ALL, app)
    assert said["imported"] > 100
    assert said["foreign"] == []
    assert said["accelerators"] == []


def test_the_grammar_is_that_of_python_3_9(app: Path) -> None:
    """AppInspect and Splunk 9 refuse what a later one allows; the collector's own files only."""
    paths = list((app / "lib" / "collector").rglob("*.py"))
    assert len(paths) > 100
    for path in paths:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_what_is_brought_along_is_what_the_tests_run_on_python_3_9() -> None:
    tested = _pins(ROOT / "requirements" / "py39.lock")
    brought = {**_pins(BUILDER / "noarch.lock"), **_pins(BUILDER / "platform.lock")}
    assert brought.pop("splunk-sdk").startswith("3.")
    assert brought == {name: tested[name] for name in brought}


def test_every_pin_has_a_hash_and_every_package_its_licence(app: Path) -> None:
    for lock in ("noarch.lock", "platform.lock"):
        entries = re.split(r"\n(?=\S)", (BUILDER / lock).read_text(encoding="utf-8").strip())
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    licences = (app / "lib" / "LICENSES.txt").read_text(encoding="utf-8").lower()
    for name, version in _pins(BUILDER / "noarch.lock").items():
        assert f"{name.replace('-', '_')}-{version}/licen" in licences


@pytest.mark.parametrize(("name", "width", "height"), [("appLogo", 160, 40), ("appLogo_2x", 320, 80)])
def test_a_logo_has_the_size_that_splunk_web_wants(app: Path, name: str, width: int, height: int) -> None:
    head = (app / "static" / f"{name}.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (width, height)


def test_the_build_number_grows_with_the_version() -> None:
    """Splunk Web keeps what a browser has fetched until this number changes."""
    major, minor, patch = (int(part) for part in collector.__version__.split("-")[0].split("."))
    app_conf = (ROOT / "default" / "app.conf").read_text(encoding="utf-8")
    assert f"\nbuild = {major * 10_000 + minor * 100 + patch}\n" in app_conf


#: Writes a .pyc, unlike the others.
VERSION = "import sys; sys.path[0:0] = sys.argv[1:]; import collector; print(collector.__version__)"


def test_an_upgrade_keeps_what_is_local_and_runs_the_new_code(package: Path, tmp_path: Path) -> None:
    """The worst case for Python's caches: the file that changes is as long as it was."""
    app = unpack(package, tmp_path)
    local = app / "local" / "inputs.conf"
    local.parent.mkdir()
    local.write_text("[audit_s3://thrive]\nbucket = b\n", encoding="utf-8")
    meta = app / "metadata" / "local.meta"
    meta.write_text("[inputs]\n", encoding="utf-8")

    def version() -> str:
        command = [*bare("3.13"), "-c", VERSION, str(app / "lib")]
        return subprocess.run(command, check=True, capture_output=True, env={}).stdout.decode().strip()

    assert version() == collector.__version__
    assert list((app / "lib" / "collector" / "__pycache__").glob("__init__.*.pyc"))

    assert unpack(_newer(package, tmp_path, version="9.9.9"), tmp_path) == app
    assert version() == "9.9.9"
    assert local.read_text(encoding="utf-8").endswith("bucket = b\n")
    assert meta.exists()


def _newer(package: Path, folder: Path, *, version: str) -> Path:
    assert len(version) == len(collector.__version__)
    with tarfile.open(package) as tar:
        files = {each.name[len(APP_ID) + 1 :]: _content(tar, each) for each in tar if each.isreg()}
    name = "lib/collector/__init__.py"
    files[name] = files[name].replace(collector.__version__.encode(), version.encode())
    newer = folder / "newer.tgz"
    newer.write_bytes(builder("build").archive(files))
    return newer


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


#: What is compiled, by its name but for interpreter and processor; the rest of these packages is Python.
COMPILED = {"_cffi_backend", "_rust", "_isal", "igzip_lib", "isal_zlib", "_core"}
#: The processor in the header of an ELF file.
PROCESSORS = {"linux_x86_64": 62, "linux_aarch64": 183}


@pytest.mark.exhaustive
def test_every_compiled_package_is_to_be_had_for_every_processor_and_both_pythons(tmp_path: Path) -> None:
    """pip chooses and downloads nothing."""
    vendored = builder("vendored")
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--dry-run",
        "--report=-", "--ignore-installed", "--no-deps", "--only-binary=:all:", f"--target={tmp_path}",
        "--require-hashes", "-r", str(BUILDER / "platform.lock"),
    ]
    asked = {
        (platform, version): subprocess.Popen(
            [*command, *vendored.for_interpreter(platform, version)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for platform in vendored.PLATFORMS
        for version in vendored.INTERPRETERS
    }
    for (platform, version), pip in asked.items():
        said, complaint = pip.communicate(timeout=120)
        if pip.returncode and b"connection broken" in complaint:
            pytest.skip("the package index cannot be asked")
        assert pip.returncode == 0, (platform, version, complaint.decode())
        chosen = [each["download_info"]["url"].rsplit("/", 1)[1] for each in json.loads(said)["install"]]
        assert sorted(name.split("-")[0] for name in chosen) == list(vendored.PLATFORM)
        for name in chosen:
            assert re.search(rf"manylinux(2014|_2_17|_2_28)_{platform[6:]}", name), name
            assert {vendored.INTERPRETERS[version], "abi3"} & set(name.split("-")), name


@pytest.mark.exhaustive
@pytest.mark.parametrize("platform", PROCESSORS)
def test_a_platforms_package_brings_what_is_compiled_for_its_processor_and_both_pythons(
    platform: str, tmp_path: Path
) -> None:
    package = build(tmp_path, platform=platform)
    assert package.name == f"{APP_ID}-{collector.__version__}-{platform}.tgz"
    again = build(tmp_path / "again", platform=platform, interpreter=find("3.11") or sys.executable)
    assert again.read_bytes() == package.read_bytes()
    app = unpack(package, tmp_path)
    libraries = sorted(app.rglob("*.so"))
    for library in libraries:
        head = library.read_bytes()[:20]
        assert (head[:4], struct.unpack("<H", head[18:20])[0]) == (b"\x7fELF", PROCESSORS[platform]), library
    for tag in ("39", "313"):
        found = {path.name.split(".")[0] for path in libraries if re.search(rf"-{tag}-|\.abi3\.", path.name)}
        assert found == COMPILED
    if platform == f"linux_{os.uname().machine}":
        _assert_runs(app)


def _assert_runs(app: Path) -> None:
    for version in SPLUNKS_PYTHONS:
        assert _run(version, IMPORT_ALL, app)["accelerators"] == ["isal", "msgspec"]
        subprocess.run([*bare(version), "-c", DECRYPT, str(app / "lib")], check=True, timeout=60)


def _run(version: str, program: str, app: Path) -> Dict[str, object]:
    done = subprocess.run(
        [*bare(version), "-B", "-c", program, str(app / "lib")], capture_output=True, env={}, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    said: Dict[str, object] = json.loads(done.stdout)
    return said


def _pins(lock: Path) -> Dict[str, str]:
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_input_of_the_example_is_accepted_with_its_secrets_stored(run_input, items, splunkd) -> None:
    for username in ("thrive:aws_secret_access_key", "postgres", "audit-hec"):
        splunkd.store(REALM, username, "stored-for-this-test")
    stanzas = parse((ROOT / "README" / "inputs.conf.example").read_text(encoding="utf-8")).stanzas
    assert len(stanzas) == 4
    for stanza, settings in stanzas.items():
        document = items(stanza[len("audit_s3://") :], {name: each.text for name, each in settings.items()})
        finished = run_input("--validate-arguments", stdin=document)
        assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"", b""), stanza
