"""Processes that build the same model at the same time: what they share, and what only the first makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from anchorrec_graph.train.ranks import ALONE, Ranks

T = TypeVar("T")


_team: ContextVar[Ranks] = ContextVar("team", default=ALONE)


def team() -> Ranks:
    """The processes that build what is being built; only this one where nothing else was said."""
    return _team.get()


@contextmanager
def shared_by(processes: Ranks) -> Iterator[None]:
    """Within this block all of these processes build the same things in the same order."""
    token = _team.set(processes)
    try:
        yield
    finally:
        _team.reset(token)


def in_turn(make: Callable[[], T]) -> T:
    """`make()` on the first process, then on all others: what it puts into a cache is made once."""
    processes = team()
    if not processes.is_first:
        processes.wait()
    with shared_by(ALONE):
        made = make()
    if processes.is_first:
        processes.wait()
    return made
