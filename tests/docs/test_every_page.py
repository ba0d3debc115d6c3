"""What holds for every page: commands are the program's, links lead somewhere, blocks are tried by a test."""

from __future__ import annotations

import configparser
import re
import shlex
import textwrap
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import click
import pytest
from click.testing import CliRunner

from collector.config import load
from collector.hosts.cli import cli
from collector.hosts.codes import codes_of
from tests.docs.shown import ROOT

PAGES: Dict[str, str] = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ ]*$", re.DOTALL | re.MULTILINE)
#: Fences that show nothing to be tried.
SHOWN_ONLY = {"mermaid", "yaml"}


def spoken(page: str) -> Iterator[List[str]]:
    """Every command of ours on a page, in words: from blocks, indented lines, tables and sentences."""
    fenced = [text for kind, text in FENCE.findall(page) if kind.split(" ")[0] in ("sh", "")]
    rest = FENCE.sub("", page)
    lines = [line for text in fenced for line in text.replace("\\\n", " ").splitlines()]
    lines += [line for line in rest.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`]+)`", " ".join(rest.split()))
    for line in lines:
        for said in re.findall(r"(?:^|&& |bin/)audit-s3 ([a-z-].*)", line.strip()):
            words = shlex.split(re.split(r" [|>&]|[|]", said)[0], comments=True)
            yield [word for word in words if word != "..."]


class NoSuchVerb(click.ClickException):
    pass


def understood(words: List[str]) -> None:
    """Raises NoSuchOption or NoSuchVerb for what there is not; values are not looked at."""
    context = click.Context(cli, info_name="audit-s3")
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            raise NoSuchVerb(f"there is no {name}")
        command = found
    try:
        command.make_context(command.name, list(words), parent=context)
    except click.NoSuchOption:
        raise
    except (click.ClickException, click.exceptions.Exit):
        pass  # a placeholder is no value, and --version ends by itself


SPOKEN: List[Tuple[str, List[str]]] = [
    (name, words) for name, page in PAGES.items() for words in spoken(page) if words
]


def test_every_command_that_a_page_speaks_of_is_understood_by_the_program() -> None:
    assert len(SPOKEN) > 100
    wrong = []
    for name, words in SPOKEN:
        try:
            understood(words)
        except click.ClickException as error:
            wrong.append(f"{name}: audit-s3 {' '.join(words)}: {error.format_message()}")
    assert wrong == []


def test_what_the_program_does_not_know_is_found_out() -> None:
    for words in (["fetch"], ["run", "--twice"], ["quarantine", "burn"]):
        with pytest.raises(click.ClickException):
            understood(words)


def test_every_target_of_make_and_every_extra_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for name, page in PAGES.items():
        code = "\n".join([*re.findall(r"`([^`\n]+)`", page), *re.findall(r"^    (.*)$", page, re.MULTILINE),
                          *(text for kind, text in FENCE.findall(page) if kind == "sh")])
        assert set(re.findall(r"^make ([a-z][a-z-]*)", code, re.MULTILINE)) <= targets, name
        for extras in re.findall(r"\.\[([a-z,0-9-]+)\]'", code):
            assert set(extras.split(",")) <= set(setup["options.extras_require"]), name


# -- links


def _anchors(page: str) -> Set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_to_a_heading_that_there_are(name: str) -> None:
    here = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)", PAGES[name]):
        file, _, anchor = target.partition("#")
        path = (here.parent / file).resolve() if file else here
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path.read_text(encoding="utf-8")), target


# -- blocks


def test_every_page_with_commands_or_settings_has_a_test_that_runs_them() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    unread = []
    for name, page in PAGES.items():
        kinds = {kind.split(" ")[0] for kind, _ in FENCE.findall(page)} - SHOWN_ONLY
        is_provider = name.startswith("docs/providers/")  # test_providers.py has all of them
        if kinds and not is_provider and f'"{Path(name).name}"' not in sources:
            unread.append(f"{name}: {sorted(kinds)}")
    assert unread == []


def test_the_settings_of_the_decoders_page_load(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "decoders.md").read_text(encoding="utf-8")
    shown = [text for kind, text in FENCE.findall(page) if kind == "ini"]
    assert len(shown) == 2
    for text in shown:
        path = tmp_path / "audit-s3.conf"
        url = "https://sqs.eu-west-1.amazonaws.com/111111111111/q"
        path.write_text(f"[audit_s3://it]\nqueue_url = {url}\n{textwrap.dedent(text)}")
        (found,) = load(config_path=str(path), environ={})
        assert set(re.findall(r"^(\w+) =", text, re.MULTILINE)) <= set(found.sources)


def test_every_code_that_a_page_tells_to_explain_is_explained() -> None:
    codes = {words[1] for _, words in SPOKEN if words[0] == "explain" and len(words) > 1}
    known = {code for code in codes if codes_of(code)}
    assert codes - known <= {"CODE", "FILE", "FILE|CODE"}
    assert CliRunner().invoke(cli, ["explain", "queue_missing"]).exit_code == 0
