"""`audit-s3 coverage`: what became of every object of a time, by the bucket, the ledger and Splunk."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Callable, Optional, Sequence

import click

from collector.config import Input
from collector.errors import Fatal
from collector.hosts.cli.options import configured, load_inputs, moment, refuse_empty_span

if TYPE_CHECKING:
    from collector.hosts.coverage.splunk import Search

__all__ = ["command"]


@click.command("coverage")
@configured
@click.option("--since", type=moment, metavar="T",
              help="Objects written from this time on: ISO, or how long ago (30d). By default as far back as "
              "retention goes.")
@click.option("--until", type=moment, metavar="T", help="Objects written before this time; now by default.")
@click.option("--format", "form", type=click.Choice(["text", "json", "html"]), default="text",
              show_default=True, help="json is for keeping: --audit finds what was changed in it.")
@click.option("--splunk", is_flag=True,
              help="Ask Splunk what it holds of each object, and name what differs.")
@click.option("--splunk-url", metavar="URL",
              help="The search head's management port: https://splunk.example.com:8089")
@click.option("--splunk-token", metavar="REF",
              help="Where a token that Splunk has issued is found: file:PATH, env:NAME or credential:NAME.")
@click.option("--audit", "exported", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="Say whether a report of --format json is as it was written; needs nothing else.")
def command(
    config_path: str,
    input_name: str,
    since: Optional[float],
    until: Optional[float],
    form: str,
    splunk: bool,
    splunk_url: str,
    splunk_token: str,
    exported: Optional[str],
) -> None:
    """Count, by day and prefix, what was delivered, is late, missing, or left out; change nothing.

    Exits 1 when something is missing, a bucket cannot be listed, or Splunk holds something else.
    """
    if exported is not None:
        sys.exit(_audit(exported))
    refuse_empty_span(since, until)
    if splunk != bool(splunk_url and splunk_token) or bool(splunk_url) != bool(splunk_token):
        raise click.UsageError("--splunk, --splunk-url and --splunk-token belong together")
    from collector.hosts.stores import say_where_none_is

    inputs = load_inputs(config_path, input_name, {})
    for found in inputs if since is None else ():
        if until is not None and until <= time.time() - found.settings.retention_seconds:
            raise click.UsageError("--until lies before retention begins: give --since too")
    say_where_none_is(inputs)
    sys.exit(_report(inputs, since=since, until=until, form=form, search=_search(splunk_url, splunk_token)))


def _report(
    inputs: Sequence[Input],
    *,
    since: Optional[float],
    until: Optional[float],
    form: str,
    search: Optional[Callable[[Input], Search]],
) -> int:
    from collector.hosts.coverage.count import count
    from collector.hosts.coverage.html import as_html
    from collector.hosts.coverage.report import as_json
    from collector.hosts.coverage.text import as_text

    created = time.time()
    answers = [
        count(found, since=since, until=until, search=search(found) if search else None) for found in inputs
    ]
    if form == "json":
        text, seal = as_json(answers, created=created)
        print(text, end="")
        print(f"The seal of this report, to be kept elsewhere: {seal}", file=sys.stderr)
    elif form == "html":
        print(as_html(answers, created=created), end="")
    else:
        print(as_text(answers), end="")
    return 0 if all(answer.is_whole for answer in answers) else 1


def _audit(path: str) -> int:
    from collector.hosts.coverage.report import audit

    with open(path, encoding="utf-8", errors="replace") as file:
        unchanged, said = audit(file.read())
    print(f"{path}: {said}")
    return 0 if unchanged else 1


def _search(url: str, reference: str) -> Optional[Callable[[Input], Search]]:
    """What asks the search head for an input; hec_ca_file and hec_tls_verify of the input count for it."""
    if not url:
        return None
    from collector.hosts.coverage.search import SearchHead
    from collector.hosts.coverage.splunk import field_of

    token = _token(reference)

    def search(found: Input) -> Search:
        field_of(found)
        settings = found.settings
        return SearchHead(url, token, ca_file=settings.hec_ca_file, verify=settings.hec_tls_verify).rows

    return search


def _token(reference: str) -> str:
    from collector.config.secret import is_reference, read_text, resolve
    from collector.config.table import Invalid

    if not is_reference(reference):
        raise click.UsageError("--splunk-token takes file:PATH, env:NAME or credential:NAME, never the token")
    try:
        return resolve(reference, environ=os.environ, read=read_text)
    except Invalid as error:
        raise Fatal(error.what, code="splunk_token_unread", where="--splunk-token", hint=error.hint) from None
