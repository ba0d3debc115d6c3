"""A container that is cut off or damaged, and how often that is to be seen before it is believed.

A truncated one may be a broken connection, or an upload that is not over: the third sighting counts. A
checksum that is wrong may be a broken transfer: the second does.
"""

from __future__ import annotations

from collector.decode.tape import Tape
from collector.errors import CollectorError, Poison

__all__ = ["corrupt", "cut_off", "truncated"]

_STEP = "fetch the object by hand; if that copy is damaged too, ask the provider for it"


def cut_off(tape: Tape, name: str, what: str) -> CollectorError:
    """What ended the source, if it was not its end."""
    return tape.damage or truncated(name, what)


def truncated(name: str, what: str) -> Poison:
    """`what` says where it ends ("the tar archive ends before ..."), `name` is that of the container."""
    return Poison(what, code=f"truncated_{name}", sightings=3, hint=_STEP)


def corrupt(name: str, what: str) -> Poison:
    """`what` says how ("the tar archive is damaged: ...")."""
    return Poison(what, code=f"corrupt_{name}", sightings=2, hint=_STEP)
