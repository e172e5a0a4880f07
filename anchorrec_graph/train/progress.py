"""What a person sees while a model trains: a bar with the time left, or plain lines."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Display(ABC):
    """Shows the progress of one training after another."""

    @abstractmethod
    def start(self, title: str, done: int, total: int) -> None:
        """A training of `total` epochs begins, `done` of which are already there."""

    @abstractmethod
    def epoch(self, epoch: int, loss: float, validation: Mapping[str, float], best: float) -> None:
        """One more epoch is complete."""

    @abstractmethod
    def stop(self, message: str) -> None:
        """The training ended."""


class Silent(Display):
    """Shows nothing."""

    def start(self, title: str, done: int, total: int) -> None: ...

    def epoch(self, epoch: int, loss: float, validation: Mapping[str, float], best: float) -> None: ...

    def stop(self, message: str) -> None: ...


class Bar(Display):
    """A bar for a terminal of 80 columns. The time left is to the last epoch; it may stop sooner."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def start(self, title: str, done: int, total: int) -> None:
        self.title = title
        self._print(opening(done, total))
        columns = (
            MofNCompleteColumn(), BarColumn(bar_width=10), TextColumn("{task.fields[state]}"),
            TextColumn("at most"), TimeRemainingColumn(),
        )  # fmt: skip
        self.progress = Progress(*columns, console=self.console, transient=True)
        self.task = self.progress.add_task(title, total=total, completed=done, state="")
        self.validated = ""
        self.progress.start()

    def epoch(self, epoch: int, loss: float, validation: Mapping[str, float], best: float) -> None:
        for name, value in validation.items():
            self.validated = f" {name} {value:.4f}, best {best:.4f}"
        self.progress.update(self.task, completed=epoch, state=f"loss {loss:.4f}{self.validated}")

    def stop(self, message: str) -> None:
        self.progress.stop()
        self._print(message)

    def _print(self, text: str) -> None:
        self.console.print(f"{self.title}: {text}", highlight=False, markup=False)


class Lines(Display):
    """Plain lines to standard error: first, last, and at most one every `every` seconds between."""

    def __init__(self, every: float = 5.0) -> None:
        self.every = every

    def start(self, title: str, done: int, total: int) -> None:
        self.title, self.done, self.total = title, done, total
        self.started = self.shown = time.monotonic()
        self._print(opening(done, total))

    def epoch(self, epoch: int, loss: float, validation: Mapping[str, float], best: float) -> None:
        now = time.monotonic()
        if now - self.shown < self.every:
            return
        self.shown = now
        left = (now - self.started) / max(epoch - self.done, 1) * (self.total - epoch)
        shown = "".join(f", validation {name} {v:.4f}, best {best:.4f}" for name, v in validation.items())
        self._print(f"epoch {epoch}/{self.total}, loss {loss:.4f}{shown}, at most {duration(left)} left")

    def stop(self, message: str) -> None:
        self._print(message)

    def _print(self, text: str) -> None:
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)


def opening(done: int, total: int) -> str:
    return f"up to {total} epochs" + (f", continued after epoch {done}" if done else "")


def duration(seconds: float) -> str:
    """`42 s`, or `1:02:03` from a minute on."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else str(timedelta(seconds=whole))


def display_for(quiet: bool) -> Display:
    """The display that fits where the output goes."""
    if quiet:
        return Silent()
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Lines()
