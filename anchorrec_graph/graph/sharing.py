"""Processes that build the same model at the same time: what they share, and what only the first makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor

T = TypeVar("T")


class Team(Protocol):
    """The processes (`train.ranks.Ranks`). What they do together, all do in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def wait(self) -> None: ...

    def gather(self, value: Any) -> list[Any]: ...

    def all_rows(self, own: Tensor, counts: list[int]) -> Tensor: ...


class _Alone(NamedTuple):
    """One process."""

    rank: int = 0
    size: int = 1

    def wait(self) -> None:
        pass

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def all_rows(self, own: Tensor, counts: list[int]) -> Tensor:  # noqa: ARG002
        return own


ALONE = _Alone()
_team: ContextVar[Team] = ContextVar("team", default=ALONE)


def team() -> Team:
    """The processes that build what is being built; only this one where nothing else was said."""
    return _team.get()


@contextmanager
def shared_by(processes: Team) -> Iterator[None]:
    """Within this block all of these processes build the same things in the same order."""
    token = _team.set(processes)
    try:
        yield
    finally:
        _team.reset(token)


def in_turn(make: Callable[[], T]) -> T:
    """`make()` on the first process, then on all others: what it puts into a cache is made once."""
    processes = team()
    if processes.rank > 0:
        processes.wait()
    with shared_by(ALONE):
        made = make()
    if processes.rank == 0:
        processes.wait()
    return made
