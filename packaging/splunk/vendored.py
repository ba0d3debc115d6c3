"""What the app brings along in lib/: the pinned wheels, and what of them ships.

    python packaging/splunk/vendored.py --lock     # write noarch.lock and platform.lock again

One tree serves Splunk's Python 3.9 and 3.13, so the versions are those of requirements/py39.lock: what the
tests run on 3.9. splunk-sdk alone is newer: 3.x asks for Python 3.13 only because of parts that are left
out here, and AppInspect warns of 2.x. Hashes are checked by pip.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Dict, Iterator, List

__all__ = ["INTERPRETERS", "PLATFORMS", "for_interpreter", "vendored"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

NOARCH = (
    "apscheduler", "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "tzlocal",
    "urllib3",
)
#: cffi only for its _cffi_backend, which cryptography links.
PLATFORM = ("cffi", "cryptography", "isal", "msgspec")

#: pip's names for what runs on every Linux of this processor that Splunk supports; it prefers the first.
PLATFORMS = {
    name: [f"{policy}_{processor}" for policy in ("manylinux_2_17", "manylinux2014", "manylinux_2_28")]
    for name, processor in (("linux_x86_64", "x86_64"), ("linux_aarch64", "aarch64"))
}
#: What is compiled for each lies side by side: its names say which is whose. Where a file serves both
#: (cryptography's stable ABI), the older interpreter's is taken. pip reads "3.9" as 3.9.0, which is too old.
INTERPRETERS = {"3.9.2": "cp39", "3.13.0": "cp313"}

#: cloudtrail: for the public keys with which its digests are verified.
SERVICES = ("cloudtrail", "dynamodb", "kms", "s3", "sqs", "sts")
ROOT_DATA = ("_retry", "endpoints", "partitions", "sdk-default-configuration")

#: Ships though a later pattern drops it: APScheduler finds its own triggers by its entry points.
KEPT = (
    "apscheduler-*.dist-info/METADATA",
    "apscheduler-*.dist-info/entry_points.txt",
    *(f"botocore/data/{name}.json" for name in ROOT_DATA),
    *(f"botocore/data/{service}/*" for service in SERVICES),
)
DROPPED = (
    "*.dist-info/*", "*.data/*", "*/py.typed", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h",
    "boto3/data/*", "boto3/examples/*", "botocore/data/*",
    "dateutil/zoneinfo/*.tar.gz", "dateutil/zoneinfo/rebuild.py",
    "splunklib/ai/*", "splunklib/searchcommands/*",
    "cffi/*", "isal/isa-l/[!L]*",
)
#: Before both: no program needs these.
NEVER = ("*/examples-1.json",)
_LICENCE = re.compile(r"[^/]+\.dist-info/(licenses/)?(LICEN[CS]E|COPYING|NOTICE)[^/]*", re.IGNORECASE)
_RULE = b"\n\n" + b"-" * 79 + b"\n\n"

#: botocore's client-side monitoring sends UDP, which AppInspect forbids; it is off unless asked for, and
#: then says at debug level that it cannot send.
EDITS = {"botocore/session.py": (b"socket=socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", b"socket=None")}


def vendored(platform: str) -> Dict[str, bytes]:
    """The files of lib/ but the collector's own, by path. `platform` is one of PLATFORMS; "" is noarch."""
    files: Dict[str, bytes] = {}
    licences: Dict[str, bytes] = {}
    for wheel in _wheels(platform):
        for name, content in _members(wheel):
            if _LICENCE.fullmatch(name):
                licences[name.replace(".dist-info/licenses/", ".dist-info/")] = content.strip()
            if _ships(name):
                files.setdefault(name, content)
    for name, (old, new) in EDITS.items():
        if files[name].count(old) != 1:
            sys.exit(f"{name} has changed: packaging/splunk/vendored.py expects once: {old.decode()}")
        files[name] = files[name].replace(old, new)
    texts = [name.replace(".dist-info", "").encode() + b"\n\n" + licences[name] for name in sorted(licences)]
    files["LICENSES.txt"] = _RULE.join(texts) + b"\n"
    return files


def _ships(name: str) -> bool:
    def is_one_of(patterns: tuple[str, ...]) -> bool:
        return any(fnmatch(name, pattern) for pattern in patterns)

    return not is_one_of(NEVER) and (is_one_of(KEPT) or not is_one_of(DROPPED))


def _members(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith("/"):
                yield name, archive.read(name)


def _wheels(platform: str) -> List[Path]:
    wheels = _downloaded("noarch", "noarch", "--ignore-requires-python")
    for version, tag in INTERPRETERS.items() if platform else ():
        wheels += _downloaded("platform", f"{platform}-{tag}", *for_interpreter(platform, version))
    return wheels


def for_interpreter(platform: str, version: str) -> List[str]:
    """What makes pip choose the wheels of one of PLATFORMS and one of INTERPRETERS, whatever it runs on."""
    abis = [f"--abi={name}" for name in (INTERPRETERS[version], "abi3")]
    platforms = [f"--platform={name}" for name in PLATFORMS[platform]]
    return [*platforms, "--implementation=cp", f"--python-version={version}", *abis]


def _downloaded(lock: str, kind: str, *options: str) -> List[Path]:
    """The wheels of a lock; kept in build/, in a folder that appears when it is whole."""
    digest = hashlib.sha256((HERE / f"{lock}.lock").read_bytes()).hexdigest()[:12]
    folder = ROOT / "build" / "wheels" / f"{kind}-{digest}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=str(folder.parent)) as unfinished:
            download = Path(unfinished) / "wheels"
            _pip_download(download, "--require-hashes", *options, "-r", str(HERE / f"{lock}.lock"))
            try:
                download.rename(folder)
            except OSError:
                if not folder.is_dir():  # else someone else was quicker, with the same bytes
                    raise
    return sorted(folder.glob("*.whl"))


def _pip_download(folder: Path, *arguments: str) -> None:
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-qq", "--no-deps",
        "--only-binary=:all:", "-d", str(folder), *arguments,
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"what the app brings along cannot be downloaded: pip failed with {done.returncode}")


def lock() -> None:
    """Write both locks again from requirements/py39.lock, and splunk-sdk's newest."""
    (HERE / "noarch.lock").write_text("".join(_pins(NOARCH)) + _newest("splunk-sdk"), encoding="utf-8")
    (HERE / "platform.lock").write_text("".join(_pins(PLATFORM)), encoding="utf-8")


def _pins(names: tuple[str, ...]) -> Iterator[str]:
    text = (ROOT / "requirements" / "py39.lock").read_text(encoding="utf-8")
    for name in names:
        pin = re.search(rf"^{name}==([^ ]+).*((?:\n +--hash=.*)+)", text, re.MULTILINE)
        if pin is None:
            sys.exit(f"requirements/py39.lock does not pin {name}; write it again with `make lock`")
        yield f"{name}=={pin[1]} \\{pin[2]}\n"


def _newest(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        _pip_download(Path(folder), "--ignore-requires-python", name)
        (wheel,) = Path(folder).glob("*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return f"{name}=={wheel.name.split('-')[1]} \\\n    --hash=sha256:{digest}\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--lock"]:
        sys.exit(__doc__)
    lock()
