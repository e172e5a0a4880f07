"""A comparison on a cluster is that of processes on this machine."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import server
from ray_tasks import train_or_die
from tiny_runs import InterruptAfter, differences, outcome, tiny_config, write_tiny

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.cluster.tasks import Outcome
from anchorrec_graph.compare import Comparison, Entry, compare, processes, read_entries
from anchorrec_graph.compare import cluster as on_cluster
from anchorrec_graph.compare.processes import Failure
from anchorrec_graph.compare.runs import Job, is_finished, make_jobs
from anchorrec_graph.errors import AnchorRecError
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.run import RunFolder


@pytest.fixture(autouse=True)
def _this_process() -> Iterator[None]:
    """`train` is for a process of its own."""
    command, threads = list(sys.argv), torch.get_num_threads()
    yield
    sys.argv[:] = command
    torch.set_num_threads(threads)


def entries_of(folder: Path, *overrides: str) -> list[Entry]:
    paths = []
    for model in ("lightgcn", "popularity"):
        (folder / model).mkdir(parents=True, exist_ok=True)
        paths.append(
            write_tiny(
                folder / model, f"model={model}", "train.epochs=3", "train.checkpoint_every=1", *overrides
            )
        )
    return read_entries([str(path) for path in paths])


def results(comparison: Comparison) -> dict[tuple[str, str], Any]:
    return {
        (row.label, seed.name): (seed.test, seed.per_user.to_dict(as_series=False))
        for row in comparison.rows
        for seed in row.results
    }


def same_files(found: Path, expected: Path) -> list[str]:
    left, right = (
        {k: v for k, v in outcome(f).items() if not k.endswith("cost.json")} for f in (found, expected)
    )
    return differences(left, right)


def test_equals_a_comparison_of_processes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to the last file; and it is not run again."""
    monkeypatch.setattr(processes, "CONTEXT", server())
    entries, lines = entries_of(tmp_path), list[str]()
    expected = compare(entries, [3], tmp_path / "pool", workers=2)
    found = compare(entries, [3], tmp_path / "ray", cluster=cluster, report=lines.append)
    assert results(found) == results(expected)
    assert same_files(tmp_path / "ray", tmp_path / "pool") == []
    assert [line[:5] for line in lines] == ["[1/2]", "[2/2]"]
    assert all("test Recall@5 0." in line for line in lines)
    for row in found.rows:
        assert row.cost.threads == 1
        assert (row.cost.peak_memory_bytes or 0) > 50 * 2**20
    lines.clear()
    again = compare(entries, [3], tmp_path / "ray", cluster=cluster, report=lines.append)
    assert results(again) == results(found)
    assert all("from an earlier comparison" in line for line in lines)


def test_a_process_that_dies_is_the_error_of_its_run(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on, and the same command trains what is missing."""
    with monkeypatch.context() as patch:
        patch.setattr(on_cluster, "train", train_or_die)
        with pytest.raises(AnchorRecError, match=r"^lightgcn, seed 0: the process was killed") as caught:
            compare(entries_of(tmp_path), [0], tmp_path / "out", cluster=cluster)
    assert caught.value.exit_code == 1
    jobs = make_jobs(entries_of(tmp_path), [0], tmp_path / "out")
    manifest = jobs[0].config.dataset.load().manifest
    assert [is_finished(job, manifest) for job in jobs] == [False, True]


def refused(job: Job, *_: Any) -> None:
    raise AssertionError("is not to be trained")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    return make_jobs(entries_of(tmp_path), [0], tmp_path / "out")


def run_here(
    cluster: Cluster, jobs: list[Job], monkeypatch: pytest.MonkeyPatch, task: Callable[..., Any]
) -> tuple[list[Failure], list[str]]:
    ended: list[str] = []
    monkeypatch.setattr(on_cluster, "train", task)
    failures = on_cluster.run_jobs_on(cluster, jobs, lambda job, *_: ended.append(job.label))
    return failures, ended


def test_a_folder_in_which_another_process_trains(
    cluster: Cluster, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs[0].folder.mkdir(parents=True)
    with RunFolder(jobs[0].folder, jobs[0].config, "").locked():
        failures, ended = run_here(cluster, jobs[:1], monkeypatch, refused)
    assert ended == ["lightgcn"]
    assert failures[0].message.endswith("another process is training in this folder")
    assert failures[0].exit_code == 4


def test_a_run_interrupted_here_goes_on_there(tmp_path: Path, jobs: list[Job]) -> None:
    """`train` is what a worker calls."""
    job, data = jobs[0], jobs[0].config.dataset.load()
    with pytest.raises(KeyboardInterrupt):
        fit(job.config, data, job.folder, display=InterruptAfter(2))
    sent = on_cluster.pack(job.folder)
    assert "seed-0/checkpoint.safetensors" in sent
    assert not any(Path(name).name.startswith(".") for name in sent)
    trained = on_cluster.train(job, data, sent, 1, ["anchorrec", "compare"], [])
    on_cluster.unpack(trained.files, job.folder)
    assert is_finished(job, data.manifest)
    fit(job.config, data, tmp_path / "whole")
    assert same_files(job.folder, tmp_path / "whole") == []
    history = (job.folder / "seed-0/history.jsonl").read_text().splitlines()
    assert len(history) == 3


def test_a_run_is_finished_only_when_all_of_it_is_written(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver may be killed at any file: the next call goes on."""
    job, data = jobs[0], jobs[0].config.dataset.load()
    files = on_cluster.train(job, data, {}, 1, ["anchorrec"], []).files
    real, written = on_cluster.replacing, list[str]()

    def counted(path: Path) -> Any:
        written.append(path.relative_to(job.folder).as_posix())
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(on_cluster, "replacing", counted)
        on_cluster.unpack(files, job.folder)
    assert written[-2:] == ["config.yaml", "seed-0/metrics.json"]
    assert sorted(written) == sorted(files)
    for name in ("seed-0/metrics.json", "config.yaml"):
        (job.folder / name).unlink()
        assert not is_finished(job, data.manifest)
        again = on_cluster.train(job, data, on_cluster.pack(job.folder), 1, ["anchorrec"], []).files
        first, second = (json.loads(f["seed-0/metrics.json"])["test"] for f in (files, again))
        assert first == second


def done_here(
    cluster: Cluster, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], *, fresh: bool
) -> Iterator[Outcome]:
    """As `completed`, one after the other in this process."""
    for number, values in enumerate(arguments):
        yield Outcome(number, function(*values), None)


def test_a_full_disk_here_is_the_error_of_its_run(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    real = on_cluster.replacing

    def full(path: Path) -> Any:
        if path.is_relative_to(jobs[0].folder) and path.name == "best.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(on_cluster, "completed", done_here)
    monkeypatch.setattr(on_cluster._Data, "of", lambda _, job: job.config.dataset.load())
    with monkeypatch.context() as patch:
        patch.setattr(on_cluster, "replacing", full)
        failures = on_cluster.run_jobs_on(Cluster(1, 1), jobs, lambda *_: None)
    (failure,) = failures
    assert (failure.label, failure.seed, failure.exit_code) == ("lightgcn", 0, 4)
    assert failure.message == (
        f"{jobs[0].folder}: was trained, but cannot be written here (No space left on device); make room, "
        "and give the same command again"
    )
    manifest = jobs[0].config.dataset.load().manifest
    assert [is_finished(job, manifest) for job in jobs] == [False, True]
    assert on_cluster.run_jobs_on(Cluster(1, 1), jobs[:1], lambda *_: None) == []
    assert is_finished(jobs[0], manifest)


def test_a_run_says_by_which_command_it_was_made(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model=popularity")
    job = Job("popularity", 0, config, tmp_path / "run")
    files = on_cluster.train(job, config.dataset.load(), {}, 1, ["/bin/anchorrec", "compare", "x"], []).files
    assert b'"anchorrec",\n    "compare",\n    "x"' in files["environment.json"]
