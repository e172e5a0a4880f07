"""What a person sees while a model trains."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from anchorrec_graph.train import progress
from anchorrec_graph.train.progress import Bar, Lines, Silent, display_for, duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `progress` sees, in seconds; set clock[0]."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(every=5)
    lines.start("m on d", 0, 100)
    for epoch in range(1, 11):
        clock[0] += 2
        lines.epoch(epoch, 1 / epoch, {"Recall@20": epoch / 100}, 0.1)
    lines.stop("done")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "m on d: up to 100 epochs",
        "m on d: epoch 3/100, loss 0.3333, validation Recall@20 0.0300, best 0.1000, at most 0:03:14 left",
        "m on d: epoch 6/100, loss 0.1667, validation Recall@20 0.0600, best 0.1000, at most 0:03:08 left",
        "m on d: epoch 9/100, loss 0.1111, validation Recall@20 0.0900, best 0.1000, at most 0:03:02 left",
        "m on d: done",
    ]


def test_time_left_of_a_resumed_run_counts_its_own_epochs(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(every=0)
    lines.start("t", 90, 100)
    clock[0] += 3
    lines.epoch(91, 0.5, {}, 0.1)
    assert capsys.readouterr().err.splitlines() == [
        "t: up to 100 epochs, continued after epoch 90",
        "t: epoch 91/100, loss 0.5000, at most 27 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (61, "0:01:01"), (90061, "1 day, 1:01:01")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    bar = Bar(console)
    bar.start("m on d", 102, 110)
    bar.epoch(103, 0.5, {"Recall@20": 0.25}, 0.25)
    bar.epoch(104, 0.4, {}, 0.25)  # not evaluated: the last value stays
    bar.progress.refresh()
    bar.stop("best 0.25")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.startswith("m on d: up to 110 epochs, continued after epoch 102\n")
    assert "104/110" in shown
    assert "loss 0.4000 Recall@20 0.2500, best 0.2500 at most" in shown
    assert "…" not in shown  # nothing is cut
    assert shown.rstrip().endswith("m on d: best 0.25")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor comes back


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(display_for(quiet=False), Lines)


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    display = display_for(quiet=True)
    assert isinstance(display, Silent)
    display.start("t", 0, 1)
    display.epoch(1, 0.5, {}, 0.1)
    display.stop("done")
    assert capsys.readouterr() == ("", "")
