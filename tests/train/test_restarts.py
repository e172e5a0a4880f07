"""Processes that torchrun starts anew: they meet, say what fails, and go on with the run of those before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rank_work import exchanges, fails_on, never_comes, train
from rank_world import PATIENCE, Group, all_well, together, with_ranks
from test_ranks_run import MODEL, SETTINGS, wait_until, worker
from tiny_runs import InterruptAfter, differences, outcome, tiny_config, write_tiny

from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.train.fit import fit


def test_one_command_starts_a_run_and_survives_a_death(tmp_path: Path) -> None:
    """kill -9 of one worker: torchrun starts both anew, and they end with the bits of a run that lived."""
    lasting = "train.epochs=40", "train.patience=40", "train.checkpoint_every=1"
    path, run = write_tiny(tmp_path, MODEL, *SETTINGS, *lasting), tmp_path / "run"
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = "-m", "anchorrec_graph", "train", "-c", str(path), "--run-dir", str(run)
    with subprocess.Popen(
        [*start, "--max-restarts", "1", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as job:
        try:
            checkpoint = run / "seed-0/checkpoint.safetensors"
            wait_until(lambda: checkpoint.exists() or job.poll() is not None)
            if job.poll() is None:
                os.kill(worker(job, rank=1), signal.SIGKILL)
            told, errors = job.communicate(timeout=PATIENCE)
        finally:
            job.terminate()
    assert job.returncode == 0, errors
    (message,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert message.endswith(f"continue with --resume {run}")
    assert errors.count("continued after epoch") == 1
    assert told.splitlines()[-1] == f"run folder: {run}"
    together(tmp_path, 2, train, path, tmp_path / "whole")
    assert differences(outcome(run), outcome(tmp_path / "whole")) == []


def test_processes_started_anew_meet_each_other_and_no_dead_ones(tmp_path: Path) -> None:
    """torchrun keeps its store, with the addresses and the failure of those before."""
    first = Group(tmp_path, 2, with_ranks, fails_on, 0)
    assert "row 3 is bad, says rank 0" in first.join()[0].err
    second = Group(tmp_path, 2, with_ranks, fails_on, 1, before=first)
    before, after = second.join()
    assert "row 3 is bad, says rank 1" in after.err
    assert before.err == ""
    assert {before.code, after.code}.isdisjoint((0, -9))
    all_well(Group(tmp_path, 2, with_ranks, exchanges, before=second).join())


def test_what_no_restart_mends_is_not_tried_again(tmp_path: Path) -> None:
    """A refused folder, for one, is not taken by the processes that are started anew."""
    refused = Group(tmp_path, 2, with_ranks, fails_on, 1, RunError)
    assert "row 3 is bad, says rank 1" in refused.join()[1].err
    first, second = Group(tmp_path, 2, with_ranks, exchanges, before=refused).join()
    assert first.err.endswith("RunError: as at the first start: row 3 is bad, says rank 1\n")
    assert second.err == ""
    assert all(rank.code not in (0, -9) for rank in (first, second))


def test_others_that_do_not_come(tmp_path: Path) -> None:
    """They are not waited for as long as an exchange may take."""
    started = time.monotonic()
    first, _ = Group(tmp_path, 2, never_comes, 1.0).join()
    assert first.code == 70
    assert "ConfigError: the processes cannot meet (" in first.err
    assert time.monotonic() - started < PATIENCE / 3


def test_a_restarted_process_goes_on_with_the_named_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, "train.epochs=5")
    data = config.dataset.load()
    whole = outcome(fit(config, data, tmp_path / "whole").folder)
    with pytest.raises(KeyboardInterrupt):
        fit(config, data, tmp_path / "run", display=InterruptAfter(3))
    with pytest.raises(RunError, match="already holds a run"):
        fit(config, data, tmp_path / "run")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    other = tiny_config(tmp_path, "train.epochs=6")
    with pytest.raises(RunError, match="holds a run of other settings"):
        fit(other, data, tmp_path / "run")
    for run in (tmp_path / "run", tmp_path / "killed before it was made"):
        assert differences(outcome(fit(config, data, run).folder), whole) == []


def test_a_run_that_torchrun_may_restart_needs_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    config = tiny_config(tmp_path, "train.epochs=1")
    with pytest.raises(ConfigError, match=r"with torchrun --max-restarts name the run folder \(--run-dir"):
        fit(config, config.dataset.load())
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    assert fit(config, config.dataset.load()).folder.parent == Path("runs")
