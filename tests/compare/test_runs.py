"""What is finished is not trained again, and a job that dies changes nothing in the table."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from comparisons import entries_of, numbers, run

from anchorrec_graph.compare import Comparison, cluster, compare, processes
from anchorrec_graph.compare.costs import peak_memory
from anchorrec_graph.compare.runs import Job, make_jobs
from anchorrec_graph.errors import AnchorRecError, ConfigError, RunError
from anchorrec_graph.train.run import RunFolder

MANY = ("train.epochs=150", "train.checkpoint_every=1", "train.patience=200")


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_a_finished_run_is_not_run_again(comparison: Comparison, out: Path) -> None:
    before, lines = files(out / "runs"), list[str]()
    again = run(entries_of(out / "configs"), out, report=lines.append)
    assert files(out / "runs") == before
    assert numbers(again) == numbers(comparison)
    assert [line.endswith("from an earlier comparison") for line in lines] == [True] * 4
    assert lines[0].startswith("[1/4] lightgcn, seed 0: test Recall@5 0.")


def test_only_what_is_new_is_run(comparison: Comparison, out: Path, tmp_path: Path) -> None:
    for path in (out / "runs").iterdir():
        target = tmp_path / "runs" / path.name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(path)
    before, lines = files(out / "runs"), list[str]()
    entries = entries_of(out / "configs", models=["popularity"])
    more = run(entries, tmp_path, seeds=[0, 2], report=lines.append)
    assert ["earlier" in line for line in lines] == [True, False]
    assert [result.name for result in more.rows[0].results] == ["0", "2"]
    assert files(out / "runs") == before


def test_another_label_is_no_other_run(comparison: Comparison, out: Path) -> None:
    before, lines = files(out / "runs"), list[str]()
    entries = [entry._replace(label=f"my {entry.label}") for entry in entries_of(out / "configs")]
    compare(entries, [0, 1], out, report=lines.append)
    assert files(out / "runs") == before
    assert [line.endswith("from an earlier comparison") for line in lines] == [True] * 4


def test_what_another_process_has_finished_keeps_its_cost(comparison: Comparison, out: Path) -> None:
    (job, *_) = make_jobs(entries_of(out / "configs"), [0], out)
    before, failures = files(out / "runs"), processes.run_jobs([job], 1, lambda *_: None)
    assert (files(out / "runs"), failures) == (before, [])


def test_what_another_process_is_training_waits_for_it(tmp_path: Path) -> None:
    jobs = make_jobs(entries_of(tmp_path), [0], tmp_path)
    other, order = ExitStack(), list[str]()
    jobs[0].folder.mkdir(parents=True)
    other.enter_context(RunFolder(jobs[0].folder, jobs[0].config, "").locked())

    def done(job: Job, _: float, failure: processes.Failure | None) -> None:
        order.append(job.label if failure is None else failure.message)
        other.close()  # after the first, so that the one in use is free

    assert processes.run_jobs(jobs, 1, done) == []
    assert order == ["popularity", "lightgcn"]


def test_what_a_worker_of_a_cluster_finds_finished_keeps_its_cost(comparison: Comparison, out: Path) -> None:
    (job, *_) = make_jobs(entries_of(out / "configs"), [0], out)
    sent = {**cluster.pack(job.folder), "cost.json": b'{"peak_memory_bytes": 1, "threads": 7}'}
    data = job.config.dataset.load()
    assert cluster.train(job, data, sent, torch.get_num_threads(), sys.argv, []).files == sent


def kill_one(folder: Path) -> None:
    """Kill the job in `folder` once it has a checkpoint."""
    while not list(folder.glob("runs/lightgcn-*/seed-0/checkpoint.safetensors")):
        time.sleep(0.005)
    (child,) = (p for p in multiprocessing.active_children() if p.name == "lightgcn, seed 0")
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)


def test_killed_and_started_again(tmp_path: Path) -> None:
    entries = entries_of(tmp_path, *MANY)
    killer = threading.Thread(target=kill_one, args=(tmp_path / "killed",))
    killer.start()
    lines = list[str]()
    with pytest.raises(AnchorRecError, match="lightgcn, seed 0: the process was killed") as caught:
        compare(entries, [0], tmp_path / "killed", report=lines.append)
    killer.join()
    assert caught.value.exit_code == 1
    assert [line.split(": ")[0] for line in lines] == ["[1/2] lightgcn, seed 0", "[2/2] popularity, seed 0"]
    assert "failed" in lines[0]
    assert "failed" not in lines[1]  # the others go on
    history = next((tmp_path / "killed").glob("runs/lightgcn-*/seed-0/history.jsonl"))
    assert 0 < len(history.read_text().splitlines()) < 150
    again = run(entries, tmp_path / "killed", [0])
    assert numbers(again) == numbers(run(entries, tmp_path / "whole", [0]))


def test_ctrl_c_ends_the_children_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = entries_of(tmp_path, "train.epochs=100000", "train.patience=100000", models=["lightgcn"])

    def interrupt(*_: object) -> None:
        while not list(tmp_path.glob("out/runs/*/seed-*/history.jsonl")):
            time.sleep(0.005)
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        compare(entries, [0, 1], tmp_path / "out", workers=2)
    assert caught.value.__notes__[0].startswith("give the same command again to go on")
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("lightgcn, seed")]


def test_a_failing_row_is_left_out_and_named(tmp_path: Path) -> None:
    entries = entries_of(tmp_path, models=["popularity", "lightgcn"])
    broken = entries_of(tmp_path / "b", "train.learning_rate=1e36", models=["lightgcn"])[0]
    entries[1] = broken._replace(label="diverges")
    comparison = run(entries, tmp_path / "out", [0])
    assert [row.label for row in comparison.rows] == ["popularity"]
    (failure,) = comparison.failures
    assert (failure.label, failure.seed, failure.exit_code) == ("diverges", 0, 5)
    assert "Left out, because a run failed: diverges, seed 0." in (tmp_path / "out/table.html").read_text()
    with pytest.raises(AnchorRecError, match=r"^diverges, seed 0: epoch 1: loss term") as caught:
        comparison.raise_failures()
    assert caught.value.exit_code == 5
    with pytest.raises(AnchorRecError, match=r"^diverges, seed 0: "):
        compare(entries, [0], tmp_path / "out", reference="diverges")


def test_a_run_file_that_lacks_something_is_named(comparison: Comparison, out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    folder = copy / "runs" / Path(comparison.rows[0].results[0].origin["run"]).name
    metrics, per_user = (next(folder.glob(f"**/{name}")) for name in ("metrics.json", "per_user.parquet"))
    environment = folder / "environment.json"
    result = json.loads(metrics.read_text())
    short = result | {"test": {k: v for k, v in result["test"].items() if k != "Recall@5"}}
    kept = {path: path.read_bytes() for path in (metrics, per_user, environment)}
    rows = pl.read_parquet(per_user).drop("Recall@5")
    for path, damage, name in (
        (metrics, lambda: metrics.write_text(json.dumps(short)), "Recall@5"),
        (metrics, lambda: metrics.write_text(json.dumps({"key": result["key"]})), "test"),
        (per_user, lambda: rows.write_parquet(per_user), "Recall@5"),
        (environment, lambda: environment.write_text("{}"), "commit"),
    ):
        damage()
        with pytest.raises(RunError, match=re.escape(f"{path}: lacks '{name}'; delete its run folder")):
            compare(entries_of(copy / "configs"), [0, 1], copy)
        path.write_bytes(kept[path])


def test_changed_data_are_refused(comparison: Comparison, out: Path, tmp_path: Path) -> None:
    entry = entries_of(out / "configs", models=["popularity"])[0]
    (tmp_path / "runs").mkdir()
    for path in (out / "runs").glob("popularity-*"):
        (tmp_path / "runs" / path.name).mkdir()
        for name in ("config.yaml", "environment.json"):
            (tmp_path / "runs" / path.name / name).write_bytes((path / name).read_bytes())
        (tmp_path / "runs" / path.name / "manifest.json").write_text('{"hash": "0123456789abcdef"}')
    with pytest.raises(
        RunError, match=r"made from data 0123456789ab.*delete that folder, or name another --out"
    ):
        compare([entry], [0], tmp_path)


@pytest.mark.parametrize(
    ("seeds", "message"), [([], "at least 1"), ([1, 1], "a seed occurs twice"), ([-1], "greater than")]
)
def test_seeds_are_checked(out: Path, tmp_path: Path, seeds: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare(entries_of(tmp_path), seeds, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers(out: Path, tmp_path: Path, workers: int) -> None:
    with pytest.raises(ConfigError, match="start at least one"):
        compare(entries_of(out / "configs"), [0], tmp_path, workers=workers)


def test_two_labels_of_the_same_settings_are_one_run(tmp_path: Path) -> None:
    entry, lines = entries_of(tmp_path, models=["popularity"])[0], list[str]()
    twins = [entry._replace(label="one"), entry._replace(label="other")]
    one, other = compare(twins, [0], tmp_path / "out", report=lines.append).rows
    assert one.results[0].test == other.results[0].test
    assert len(list((tmp_path / "out/runs").iterdir())) == 1
    assert [line.split(":")[0] for line in lines] == ["[1/2] one, seed 0", "[2/2] other, seed 0"]


def test_labels_share_a_failure(tmp_path: Path) -> None:
    fails = entries_of(tmp_path / "a", "train.learning_rate=1e30", models=["lightgcn"])[0]
    entries = [*entries_of(tmp_path, models=["popularity"]), fails, fails._replace(label="again")]
    comparison = compare(entries, [0], tmp_path / "out")
    assert [failure.label for failure in comparison.failures] == ["lightgcn", "again"]
    assert [row.label for row in comparison.rows] == ["popularity"]


def test_a_process_as_users_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned, with its own memory: the parent's does not count."""
    monkeypatch.setattr(processes, "CONTEXT", multiprocessing.get_context("spawn"))
    ballast = np.ones(2**27)  # 1 GiB
    comparison = run(entries_of(tmp_path, models=["popularity"]), tmp_path / "out", [0])
    cost = comparison.rows[0].cost
    ours = peak_memory()
    assert ours is not None
    assert cost.peak_memory_bytes is not None
    assert 50 * 2**20 < cost.peak_memory_bytes < ours - 2**29
    assert cost.threads
    assert (cost.parameters, cost.seconds_per_epoch, cost.seconds_to_best_epoch) == (0, None, None)
    assert ballast[-1] == 1
