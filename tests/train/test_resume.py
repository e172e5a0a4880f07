"""A run that is killed and continued, at any moment, ends like one that was not: the same bits."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from processes import start
from tiny_runs import InterruptAfter, differences, outcome, tiny_config, write_tiny

from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.trainer import Trainer


class Killed(BaseException):
    """Stands for the end of the process: nobody catches it, and nobody cleans up after it."""


def killed_at(call: int, after: bool, patch: pytest.MonkeyPatch) -> None:
    """End the "process" at the given rename of a finished file, before or after it happens."""
    real, calls = os.replace, iter(range(10**6))

    def replace(source: Path, target: Path) -> None:
        fatal = next(calls) == call
        if after or not fatal:
            real(source, target)
        if fatal:
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            raise Killed

    patch.setattr("os.replace", replace)


def test_killed_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds; before and after each file appears, so also between best weights and checkpoint."""
    config = tiny_config(tmp_path, "train.epochs=5", "train.seeds=[3, 1]", "train.snapshot_every=2")
    data = config.dataset.load()
    expected = outcome(fit(config, data, tmp_path / "whole").folder)
    call, killed = 0, True
    while killed:
        for after in (False, True):
            run = tmp_path / f"run-{call}-{after}"
            with monkeypatch.context() as patch:
                killed_at(call, after, patch)
                try:
                    fit(config, data, run)
                    killed = False
                except Killed:
                    pass
            fit(config, data, run, resume=(run / "config.yaml").exists())
            assert differences(outcome(run), expected) == [], (call, after)
        call += 1
    assert call >= 15
    assert list(tmp_path.rglob("*.tmp")) == []


def stopped_in_step(number: int, patch: pytest.MonkeyPatch) -> list[int]:
    """End the "process" in its step of that number; the list grows with every step."""
    real, taken = Trainer.step, list[int]()

    def step(trainer: Trainer, *arguments: Any) -> Any:
        if len(taken) == number:
            raise Killed
        taken.append(1)
        return real(trainer, *arguments)

    patch.setattr(Trainer, "step", step)
    return taken


def test_killed_in_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints within epochs: what goes on repeats one step at most, and reports whole epochs."""
    model = "model={name: anchorrec, embedding_dim: 8, loss: softmax}"
    sampled = "train.mode=sampled", "train.num_neighbors=[3, 2]", "train.batch_size=60", "train.epochs=3"
    config = tiny_config(tmp_path, model, *sampled, "train.checkpoint_steps=2", "train.checkpoint_every=2")
    data = config.dataset.load()
    with monkeypatch.context() as patch:
        taken = stopped_in_step(10**6, patch)
        expected = outcome(fit(config, data, tmp_path / "whole").folder)
    per_epoch = len(taken) // 3
    assert per_epoch >= 5
    for number in range(1, len(taken)):
        run = tmp_path / f"run-{number}"
        with monkeypatch.context() as patch:
            stopped_in_step(number, patch)
            with pytest.raises(Killed):
                fit(config, data, run)
        with monkeypatch.context() as patch:
            again = stopped_in_step(10**6, patch)
            fit(config, data, run, resume=True)
        assert len(again) - (len(taken) - number) in (0, 1)
        assert differences(outcome(run), expected) == [], number


def test_interrupted_in_every_epoch(tmp_path: Path) -> None:
    """Ctrl-C says how to go on, and what is on disk by then is enough."""
    config = tiny_config(tmp_path, "train.epochs=5")
    data = config.dataset.load()
    expected = outcome(fit(config, data, tmp_path / "whole").folder)
    for epoch in range(1, 6):
        run = tmp_path / f"run-{epoch}"
        with pytest.raises(KeyboardInterrupt) as caught:
            fit(config, data, run, display=InterruptAfter(epoch))
        assert caught.value.__notes__ == [f"continue with: anchorrec train --resume {run}"]
        fit(config, data, run, resume=True)
        assert differences(outcome(run), expected) == [], epoch


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = "model={name: anchorrec, embedding_dim: 8}"
    settings = ["train.epochs=25", "train.seeds=[0, 1]", "train.checkpoint_every=1", "train.patience=50"]
    return write_tiny(tmp_path_factory.mktemp("config"), model, *settings)


class Whole:
    """The uninterrupted run, and how long it takes."""

    def __init__(self, config: Path, folder: Path) -> None:
        started = time.monotonic()
        process = begin(config, folder / "run", folder / "errors")
        process.join()
        assert process.exitcode == 0, (folder / "errors").read_text()
        self.seconds, self.outcome = time.monotonic() - started, outcome(folder / "run")


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    Whole(config, tmp_path_factory.mktemp("warm"))  # the fork server starts, and item graphs are cached
    return Whole(config, tmp_path_factory.mktemp("whole"))


def begin(config: Path, run: Path, errors: Path) -> BaseProcess:
    """Start the run, or go on with it."""
    new = ["-c", str(config), "--run-dir", str(run)]
    return start(["train", *(["--resume", str(run)] if (run / "config.yaml").exists() else new)], errors)


def test_killed_at_random_moments(config: Path, whole: Whole, tmp_path: Path) -> None:
    kills, longest = 0, 0.4 * whole.seconds
    while kills < 2:  # a machine that has become faster since `whole` needs shorter lives
        run, errors = tmp_path / f"run-{longest}", tmp_path / "errors"
        kills = kill_and_resume(config, run, errors, longest)
        longest /= 2
    assert differences(outcome(run), whole.outcome) == []


def kill_and_resume(config: Path, run: Path, errors: Path, longest: float) -> int:
    """Start the command until it ends by itself, in the 16th life at the latest; how often it was killed."""
    moments = random.Random(time.time())
    for kills in range(16):
        process = begin(config, run, errors)
        process.join(moments.uniform(0, longest) if kills < 15 else None)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
    assert process.exitcode == 0, errors.read_text()
    return kills


def test_ctrl_c_in_the_command(config: Path, whole: Whole, tmp_path: Path) -> None:
    run, errors = tmp_path / "run", tmp_path / "errors"
    process = begin(config, run, errors)
    wait_until((run / "seed-0/checkpoint.safetensors").exists)
    assert process.pid
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    *progress, last = errors.read_text().splitlines()
    assert last == f"interrupted; continue with: anchorrec train --resume {run}"
    assert progress[-1].startswith("anchorrec on planted, seed 0: stopped after epoch ")
    process = begin(config, run, errors)
    process.join()
    assert process.exitcode == 0
    assert differences(outcome(run), whole.outcome) == []


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 20 s")
