"""What a person sees while inputs are encoded: a bar with the time left, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anchorrec_graph.encoders.pipeline import Report, unseen
from anchorrec_graph.train.progress import duration

EVERY = 5.0  # seconds between plain lines


@contextmanager
def shown(title: str, quiet: bool) -> Iterator[Report]:
    """A report for `encode_items`, on standard error."""
    console = Console(stderr=True)
    if quiet:
        yield unseen
    elif not console.is_terminal:
        yield lines(title, console)
    else:
        columns = (TextColumn(title, markup=False), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


def lines(title: str, console: Console) -> Report:
    """At most one line every `EVERY` seconds."""
    started = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done and now - last >= EVERY:
            last = now
            left = duration((now - started) / done * (total - done))
            console.print(
                f"{title}: {done}/{total}, {left} left", highlight=False, markup=False, soft_wrap=True
            )

    return report
