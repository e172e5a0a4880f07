"""The command in several processes: one run folder, one display, one message, and runs that go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rank_work import train, train_elsewhere
from rank_world import PATIENCE, Ended, Group, by_command, command, together
from safetensors.torch import load_file
from tiny_runs import differences, outcome, write_tiny

from anchorrec_graph.train.history import read_history

MODEL = "model={name: anchorrec, embedding_dim: 8}"
SETTINGS = "train.batch_size=40", "train.batches_per_step=4", "train.epochs=5", "train.snapshot_every=3"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("config"), MODEL, *SETTINGS, "train.seeds=[3, 1]")


class Whole:
    """Uninterrupted runs of 1 and 2 processes."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.one, self.two = folder / "one", folder / "two"
        self.ended = {
            size: by_command(folder / str(size), size, "train", "-c", config, "--run-dir", run)
            for size, run in ((1, self.one), (2, self.two))
        }


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(config, tmp_path_factory.mktemp("whole"))


def close(found: Path, expected: Path) -> None:
    """Two runs of different numbers of processes: the same files, values but for rounding."""
    names = [{str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()} for run in (found, expected)]
    assert names[0] == names[1]
    for seed in ("seed-3", "seed-1"):
        for name in ("best", "checkpoint", "epochs/3"):
            tensors = [load_file(run / seed / f"{name}.safetensors") for run in (found, expected)]
            assert tensors[0].keys() == tensors[1].keys()
            for key in [key for key in tensors[0] if "random" not in key]:
                assert (tensors[0][key] - tensors[1][key]).abs().max() < 1e-4, key
        records = [read_history(run / seed / "history.jsonl") for run in (found, expected)]
        for one, other in zip(*records, strict=True):
            assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
            assert one["terms"] == pytest.approx(other["terms"], rel=1e-5, abs=1e-7)
        results = [json.loads((run / seed / "metrics.json").read_text()) for run in (found, expected)]
        assert results[0]["test"] == pytest.approx(results[1]["test"], abs=1e-6)


def the_error(ended: list[Ended]) -> str:
    """The one line that one of the processes printed; the others printed nothing, and none ended well."""
    lines = [line for rank in ended for line in rank.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, ended
    assert all(rank.code not in (0, -9) for rank in ended), ended
    assert all(rank.out == "" and "Traceback" not in rank.err for rank in ended), ended
    return lines[0].removeprefix("error: ")


def test_a_folder_that_one_machine_does_not_see_is_refused_before_training(
    config: Path, tmp_path: Path
) -> None:
    ended = together(tmp_path, 2, train_elsewhere, config, tmp_path)
    told = [line for rank in ended for line in rank.err.splitlines() if "does not find this run" in line]
    assert told == [
        "anchorrec_graph.errors.RunError: run: process 1 does not find this run; several machines need a "
        "folder that all of them see under this path (--run-dir)"
    ]
    assert not list(tmp_path.rglob("history.jsonl"))


def test_one_folder_one_display_one_table(whole: Whole) -> None:
    first, second = whole.ended[2]
    assert (first.code, second) == (0, (0, "", ""))
    assert first.err.splitlines()[0] == "anchorrec on planted, seed 3, 2 processes: up to 5 epochs"
    assert first.err.count("best validation") == 2
    assert first.out.splitlines()[0] == "anchorrec on planted, mean over 2 seeds"
    assert first.out.splitlines()[-1] == f"run folder: {whole.two}"
    close(whole.two, whole.one)
    said = [json.loads((run / "environment.json").read_text())["processes"] for run in (whole.one, whole.two)]
    assert said == [1, 2]


def test_fewer_batches_than_processes(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = "train", "-c", config, "-o", "train.batches_per_step=1", "--run-dir", run
    ended = by_command(tmp_path, 2, *arguments)
    assert the_error(ended).startswith("train.batches_per_step is 1: 2 processes share the batches of a step")
    assert {rank.code for rank in ended} == {2}
    assert not run.exists()


def test_errors_of_all_and_of_the_first_are_told_once(config: Path, whole: Whole, tmp_path: Path) -> None:
    before = outcome(whole.two)
    ended = by_command(tmp_path, 2, "train", "-c", config, "--run-dir", whole.two)
    assert the_error(ended).startswith(f"{whole.two} already holds a run; continue it with --resume")
    assert ended[0].code == 4
    assert differences(outcome(whole.two), before) == []
    ended = by_command(tmp_path, 2, "train", "-c", config, "--resume", whole.two)
    assert the_error(ended).startswith("--resume goes on with the run's own settings")
    ended = by_command(tmp_path, 2, "train", "--resume", tmp_path / "nowhere")
    assert "no run here" in the_error(ended)


def test_a_damaged_checkpoint_is_told_once(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    together(tmp_path, 2, train, config, run, False, 3)
    (run / "seed-3/checkpoint.safetensors").write_bytes(b"damaged")
    ended = by_command(tmp_path, 2, "train", "--resume", run)
    assert "checkpoint.safetensors: cannot be read" in the_error(ended)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_goes_on_with_any_number_of_processes(config: Path, whole: Whole, tmp_path: Path, size: int) -> None:
    """Started by two, interrupted after the third epoch; two end with the same bits as without that."""
    run = tmp_path / "run"
    ended = together(tmp_path, 2, train, config, run, False, 3)
    assert all(rank.code for rank in ended)
    assert not (run / "summary.json").exists()
    (*_, last) = by_command(tmp_path, size, "train", "--resume", run)
    assert last.code == 0, last.err
    if size == 2:
        assert differences(outcome(run), outcome(whole.two)) == []
    else:
        close(run, whole.one)


@pytest.mark.parametrize("model", ["bm3", "lgmrec"])
def test_noise_of_every_process_goes_on_too(tmp_path: Path, model: str) -> None:
    """Models that draw for every batch, in a generator that only the first process saves."""
    path = write_tiny(tmp_path, f"model={{name: {model}, embedding_dim: 8}}", *SETTINGS)
    together(tmp_path, 2, train, path, tmp_path / "whole")
    together(tmp_path, 2, train, path, tmp_path / "run", False, 3)
    assert not (tmp_path / "run/summary.json").exists()
    together(tmp_path, 2, train, path, tmp_path / "run", True)
    assert differences(outcome(tmp_path / "run"), outcome(tmp_path / "whole")) == []


def test_a_finished_run_is_told_again(whole: Whole, tmp_path: Path) -> None:
    first, second = by_command(tmp_path, 2, "train", "--resume", whole.two)
    assert (first.code, first.err, second) == (0, "", (0, "", ""))
    assert first.out == whole.ended[2][0].out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_all(config: Path, tmp_path: Path, number: signal.Signals) -> None:
    """As torchrun passes on Ctrl-C and SIGTERM: one line says how to go on."""
    run = tmp_path / "run"
    path = write_tiny(tmp_path, MODEL, *SETTINGS, "train.epochs=10000", "train.patience=10000")
    group = Group(tmp_path, 2, command, "train", "-c", str(path), "--run-dir", str(run))
    wait_until((run / "seed-0/checkpoint.safetensors").exists)
    for process in group.processes:
        assert process.pid
        os.kill(process.pid, number)
    ended = group.join()
    hints = [line for rank in ended for line in rank.err.splitlines() if f"--resume {run}" in line]
    assert len(hints) == 1, ended
    assert all(rank.code not in (0, -9) and "Traceback" not in rank.err for rank in ended), ended
    start = {signal.SIGINT: "interrupted; ", signal.SIGTERM: "error: this training was ended from outside"}
    assert hints[0].startswith(start[number])


def test_one_process_dies_under_torchrun(tmp_path: Path) -> None:
    """kill -9 of one worker ends the job with a message; --resume ends with the bits of a run that lived."""
    lasting = "train.epochs=60", "train.patience=60", "train.checkpoint_every=1"
    path, run = write_tiny(tmp_path, MODEL, *SETTINGS, *lasting), tmp_path / "run"
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    job = subprocess.Popen(
        [*start, "-m", "anchorrec_graph", "train", "-c", str(path), "--run-dir", str(run)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_until((run / "seed-0/checkpoint.safetensors").exists)
    os.kill(worker(job, rank=1), signal.SIGKILL)
    _, errors = job.communicate(timeout=PATIENCE)
    assert job.returncode not in (0, None)
    (message,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert message.endswith(f"continue with --resume {run}")
    assert "Signal 9 (SIGKILL)" in errors  # torchrun's report
    assert not (run / "summary.json").exists()
    first, _ = by_command(tmp_path, 2, "train", "--resume", run)
    assert first.code == 0, first.err
    assert "continued after epoch" in first.err
    together(tmp_path, 2, train, path, tmp_path / "whole")
    assert differences(outcome(run), outcome(tmp_path / "whole")) == []


def worker(job: subprocess.Popen[str], rank: int) -> int:
    """The process of a rank among torchrun's children."""
    children = Path(f"/proc/{job.pid}/task").glob("*/children")
    for pid in [pid for file in children for pid in file.read_text().split()]:
        if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return int(pid)
    raise AssertionError("no such rank")


def wait_until(condition: Callable[[], bool]) -> None:
    latest = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.01)
