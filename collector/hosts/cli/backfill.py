"""`audit-s3 backfill`: fetch a range, what is missing, or objects by name; or say first what it would do.

It runs the same engine without the queue, on the input's own ledger, also beside a running collector: rows
say who has an object, as between any two collectors. What is done is not sent again.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import click

from collector.config import Input
from collector.errors import CollectorError
from collector.hosts.cli.options import configured, load_inputs, moment, refuse_empty_span, setting_flags
from collector.model import ObjectRef, object_identity
from collector.ports import ObjectStore
from collector.wording import counted, iso, spell

__all__ = ["command"]


@click.command("backfill")
@configured
@click.option("--since", type=moment, metavar="T", help="From this time on: ISO, or how long ago (30d).")
@click.option("--until", type=moment, metavar="T", help="Before this time; now by default.")
@click.option("--missing", is_flag=True, help="What is missing since start_from, up to the grace.")
@click.option("--plan", is_flag=True, help="List only: say what would be fetched, and change nothing.")
@click.option("--again", is_flag=True, help="With objects by name: also those that are done.")
@click.argument("urls", metavar="[s3://BUCKET/KEY]...", nargs=-1)
@setting_flags
def command(
    config_path: str,
    input_name: str,
    since: Optional[float],
    until: Optional[float],
    missing: bool,
    plan: bool,
    again: bool,
    urls: Tuple[str, ...],
    **given: Any,
) -> None:
    """Fetch what the ledger does not have, by the time objects were written, or by name."""
    refs = [_ref(url) for url in urls]
    _refuse_nonsense(since=since, until=until, missing=missing, again=again, refs=refs)
    from collector.hosts.stores import refuse_another_place, say_where_none_is

    inputs = _chosen(load_inputs(config_path, input_name, given), refs)
    if not refs:
        refuse_another_place(inputs)
    say_where_none_is(inputs)
    if plan:
        code = 0
        for found in inputs:
            seen = _planned(found, refs=refs, since=since, until=until, again=again)
            print("\n".join(seen.lines))
            code = code if seen.is_whole else 1
        sys.exit(code)
    sys.exit(_run(inputs, refs=refs, since=since, until=until, again=again))


def _ref(url: str) -> ObjectRef:
    """Keys are as they stand in the bucket: nothing is decoded."""
    bucket, slash, key = url[len("s3://") :].partition("/")
    if not url.startswith("s3://") or not (bucket and slash and key):
        raise click.UsageError(f"{url!r} names no object; write s3://BUCKET/KEY")
    return ObjectRef(bucket, key)


def _refuse_nonsense(
    *, since: Optional[float], until: Optional[float], missing: bool, again: bool, refs: Sequence[ObjectRef]
) -> None:
    ways = [bool(refs), missing, since is not None]
    if until is not None and since is None:
        raise click.UsageError("--until belongs to --since")
    if again and not refs:
        raise click.UsageError("--again is for objects by name: what is done is not sent again by the range")
    if sum(ways) != 1:
        which = "only one of these" if any(ways) else "what to fetch"
        raise click.UsageError(f"say {which}: --since T [--until T], --missing, or objects by s3://BUCKET/KEY")
    refuse_empty_span(since, until)


def _chosen(inputs: Sequence[Input], refs: Sequence[ObjectRef]) -> List[Input]:
    """The inputs that this is for: they have a bucket, and that of an object that is named."""
    with_bucket = [found for found in inputs if found.settings.bucket]
    known = {bucket for found in with_bucket for bucket in found.settings.bucket}
    if not with_bucket:
        raise click.UsageError("no input here has a bucket, so there is nothing to list")
    for ref in refs:
        if ref.bucket not in known:
            there_are = ", ".join(sorted(known))
            raise click.UsageError(f"{ref.url} is in no bucket of an input; there are {there_are}")
    wanted = {ref.bucket for ref in refs} or known
    return [found for found in with_bucket if wanted & set(found.settings.bucket)]


# -- the real thing


def _run(
    inputs: Sequence[Input], *, refs: Sequence[ObjectRef], since: Optional[float], until: Optional[float],
    again: bool,
) -> int:
    from collector.hosts.progress import Progress
    from collector.runtime import service
    from collector.runtime.errand import Errand

    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop.set())
    if since is not None and until is None:
        until = time.time()
    errand = Errand(refs=refs, again=again, since=since, until=until)
    with Progress(bar=_may_draw(inputs)) as progress:
        return service.run(inputs, stop=stop, host=progress, once=True, errand=errand)


def _may_draw(inputs: Sequence[Input]) -> bool:
    """A bar, unless events are written over it."""
    to_stdout = any("stdout" in found.settings.output for found in inputs)
    return sys.stderr.isatty() and not (to_stdout and sys.stdout.isatty())


# -- the plan


class _Plan(NamedTuple):
    """What would be fetched for one input, in lines; and whether all that was asked for was looked at."""

    lines: List[str]
    is_whole: bool = True


def _planned(
    found: Input, *, refs: Sequence[ObjectRef], since: Optional[float], until: Optional[float], again: bool
) -> _Plan:
    """The ledger is read if there is one, and not written."""
    from collector.hosts.stores import begun_at, opened
    from collector.retention.listing import ASKED, Window
    from collector.retention.survey import survey
    from collector.runtime.adapters import Adapters

    settings, now = found.settings, time.time()
    stdout = sys.stdout.buffer
    adapters = Adapters(found, stdout=stdout, read_only=True, queue=False)
    assert adapters.objects is not None
    with opened(found) as store:

        def missing(page: Sequence[ObjectRef]) -> Iterable[ObjectRef]:
            wanted: Dict[str, ObjectRef] = {
                object_identity(found.name, ref): ref for ref in page if not found.route(ref.key).drop
            }
            unknown = list(wanted) if store is None or again else store.missing(list(wanted))
            return [wanted[oid] for oid in unknown]

        if refs:
            ours = [ref for ref in refs if ref.bucket in settings.bucket]
            return _planned_by_name(found, adapters.objects, ours, missing, again=again)
        counts_before = since is None
        if since is None:
            since = begun_at(found, store)
            until = max(since, now - settings.reconcile_grace_seconds)
        window = Window(since, now if until is None else until, ASKED, since if counts_before else 0.0)
        seen = survey(
            adapters.objects, window, buckets=sorted(settings.bucket), prefix=settings.prefix, missing=missing
        )
        return _Plan(_described(found, seen, listed=f"{_listed(seen)}; {_sought(found, window)}"))


def _planned_by_name(
    found: Input, objects: ObjectStore, refs: Sequence[ObjectRef],
    missing: Callable[[Sequence[ObjectRef]], Iterable[ObjectRef]], *, again: bool,
) -> _Plan:
    from collector.retention.survey import Survey

    there, lacking = [], []
    for ref in refs:
        try:
            there.append(objects.current(ref))
        except CollectorError as error:
            lacking.append(f"  {_why_not(ref, error)}")
    seen, wanted = Survey(), list(missing(there))
    seen.add(wanted)
    lines = [*_described(found, seen), *lacking]
    left = len(there) - len(wanted)
    if left:
        more = "" if again else "; --again fetches what is done"
        lines.append(f"  left out, as done or filtered: {counted(left, 'object')}{more}")
    return _Plan(lines, is_whole=not lacking)


def _why_not(ref: ObjectRef, error: CollectorError) -> str:
    """Who typed a key may have mistyped it: nobody need have deleted what is not there."""
    if error.code == "gone":
        return f"not there: {ref.url}; compare the key, which is taken as it stands"
    return f"not to be fetched: {error}"


def _listed(seen: Any) -> str:
    return f"{counted(seen.listed, 'object')} listed in {counted(seen.lists, 'LIST call')}"


def _sought(found: Input, window: Any) -> str:
    """Which of the objects were looked for: a ledger may be younger than the grace."""
    if window.since < window.until:
        return f"looked for were those written {iso(window.since)} to {iso(window.until)}"
    grace = spell(found.settings.reconcile_grace_seconds)
    return (
        f"none written since {iso(window.since)} is old enough to be missing yet: the queue has {grace} "
        "(reconcile_grace_seconds) to tell of one"
    )


def _described(found: Input, seen: Any, *, listed: str = "") -> List[str]:
    lines = [f"{found.name}: nothing is fetched, written or deleted by this plan"]
    lines += [f"  {listed}"] if listed else []
    lines.append(f"  to fetch: {counted(seen.objects, 'object')}, {_size(seen.size_bytes)}")
    if seen.before:
        fetch = f"audit-s3 backfill --input {found.name} --since {iso(seen.first_before)}"
        before = counted(seen.before, "object")
        lines.append(f"  left out, as written before start_from: {before}; to fetch: {fetch}")
    if not seen.objects:
        return lines
    expires = seen.oldest + found.settings.retention_seconds
    word = "expires" if expires > time.time() else "was due to expire"
    written = iso(seen.oldest)
    lines.append(f"  first to go: {seen.oldest_url}, written {written}, {word} {iso(expires)}")
    lines.append(f"  time, an estimate at 100 objects or 10 MB a second: {_span(seen.seconds)}")
    dollars = seen.dollars(kms=bool(found.settings.kms_key_arn))
    lines.append(
        f"  cost, an estimate of requests at list price without transfer: {_cost(dollars)}"
        + (" (less with an S3 Bucket Key)" if found.settings.kms_key_arn else "")
    )
    return lines


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return counted(int(count), "byte") if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError("GB is the last")


def _cost(dollars: float) -> str:
    return "less than 0.01 USD" if dollars < 0.01 else f"{dollars:,.2f} USD"


def _span(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.0f} hours"
