"""What the program is made of, as CycloneDX: every package of requirements/runtime.lock, with its hashes.

    python packaging/sbom.py [FILE]

It is made twice and must come out the same, and must name every pin: else it is not written. Runs in an
environment with requirements/supply-chain.lock.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Set

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "runtime.lock"


def main(path: Path) -> None:
    text = _made()
    if _made() != text:
        sys.exit("two SBOMs of one lock differ")
    missing = pins(LOCK.read_text(encoding="utf-8")) - named(json.loads(text))
    if missing:
        sys.exit(f"the SBOM does not name {', '.join(sorted(missing))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(path)


def pins(lock: str) -> Set[str]:
    """name==version of all that a lock pins."""
    return {found.lower() for found in re.findall(r"^[A-Za-z0-9._-]+==[^\s;\\]+", lock, re.MULTILINE)}


def named(bom: Dict[str, Any]) -> Set[str]:
    """name==version of all components that come with a hash."""
    return {
        f"{one['name']}=={one['version']}".lower()
        for one in bom.get("components", ())
        if any(reference.get("hashes") for reference in one.get("externalReferences", ()))
    }


def project() -> str:
    """Our own metadata, which stand in setup.cfg, as the maker of SBOMs reads them."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    about = setup["metadata"]
    package = (ROOT / "collector" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"', package, re.MULTILINE)
    assert version is not None
    said = {"name": about["name"], "version": version.group(1), "description": about["description"]}
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items()]
    return "\n".join(["[project]", *lines, f'license = {{ text = "{about["license"]}" }}', ""])


def _made() -> str:
    with tempfile.TemporaryDirectory() as folder:
        about = Path(folder) / "pyproject.toml"
        about.write_text(project(), encoding="utf-8")
        maker = Path(sys.executable).with_name("cyclonedx-py")
        options = ["--pyproject", str(about), "--output-reproducible", "--validate", str(LOCK)]
        done = subprocess.run([str(maker), "requirements", *options], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "audit-s3.cdx.json")
