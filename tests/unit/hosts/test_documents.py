"""What is written from tables agrees with them, in the repository and wherever it is written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.hosts.documents import BELOW, FILES, main
from tests.docs.shown import ROOT


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_document_agrees_with_its_table(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").partition(BELOW)[0]
    assert text == FILES[name](), "run python -m collector.hosts.documents"


def test_what_somebody_else_writes_below_is_left(tmp_path: Path) -> None:
    there = ["--root", str(tmp_path)]
    main(there)
    file = tmp_path / "docs" / "check-codes.md"
    text = file.read_text()
    file.write_text(f"old\n{BELOW} others write -->\ntheirs\n")
    assert main(["--check", *there]) == 1
    main(there)
    assert file.read_text() == f"{text}{BELOW} others write -->\ntheirs\n"
    assert main(["--check", *there]) == 0


def test_what_differs_is_named_and_what_is_written_agrees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ["--root", str(tmp_path)]
    assert main(["--check", *there]) == 1
    assert set(FILES) <= {line.split()[0] for line in capsys.readouterr().err.splitlines()}
    assert main(there) == 0
    assert main(["--check", *there]) == 0
    (tmp_path / "docs" / "operations.md").write_text("by hand")
    assert main(["--check", *there]) == 1
