"""Runs jobs on a Ray cluster. A worker trains in a temporary folder and sends back what a run leaves."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.cluster.tasks import completed
from anchorrec_graph.compare.costs import save_cost
from anchorrec_graph.compare.processes import Done, Failure
from anchorrec_graph.compare.runs import Job, is_finished
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.data.manifest import json_hash
from anchorrec_graph.errors import AnchorRecError, RunError
from anchorrec_graph.files import replacing
from anchorrec_graph.registry import import_modules, imported_modules
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.run import RunFolder

Files = dict[str, bytes]  # content by path below a run folder


class Trained(NamedTuple):
    """What comes back from a worker."""

    files: Files
    seconds: float


def run_jobs_on(cluster: Cluster, jobs: Sequence[Job], done: Done) -> list[Failure]:
    """Train every job in a fresh process of the cluster; one that fails does not stop the others.

    Data are loaded here and sent. A job that was interrupted on this machine is sent with its checkpoint;
    one that is interrupted on the cluster begins anew. While a job runs, its folder here is locked.
    """
    failures: list[Failure] = []
    begun: list[tuple[Job, ExitStack]] = []  # with the lock of the folder
    data = _Data()

    def failed(job: Job, error: Exception) -> None:
        failures.append(_failure(job, error))
        done(job, 0.0, failures[-1])

    def arguments() -> Iterator[tuple[Any, ...]]:
        for job in jobs:
            lock = ExitStack()
            try:
                _lock(job, lock)
                call = job, data.of(job), pack(job.folder), cluster.cpus, sys.argv, imported_modules()
            except (AnchorRecError, OSError) as error:
                lock.close()
                failed(job, error)
                continue
            begun.append((job, lock))
            yield call

    try:
        with closing(completed(cluster, train, arguments(), fresh=True)) as outcomes:
            for outcome in outcomes:
                job, lock = begun[outcome.number]
                with lock:
                    error = outcome.error
                    if error is None:
                        error = _kept(outcome.value.files, job.folder)
                if error is None:
                    done(job, outcome.value.seconds, None)
                else:
                    failed(job, error)
    finally:
        for _, lock in begun:
            lock.close()
    return failures


def train(
    job: Job, data: HeteroData, files: Files, threads: int, command: list[str], modules: Sequence[str]
) -> Trained:
    """On a worker: train, going on from the files of an interrupted run if there are any."""
    import_modules(modules)
    sys.argv[:] = command  # a run says by which command it was made
    torch.set_num_threads(threads)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="anchorrec-") as home:
        folder = Path(home) / job.folder.name
        unpack(files, folder)
        if not is_finished(job._replace(folder=folder), data.manifest):  # by another program meanwhile
            fit(job.config, data, folder, resume=bool(files))
            save_cost(folder, threads)
        return Trained(pack(folder), time.monotonic() - started)


def pack(folder: Path) -> Files:
    """The files of a run folder; none if it is no run. Locks and temporary files are hidden and stay."""
    if not (folder / "config.yaml").exists():
        return {}
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def unpack(files: Files, folder: Path) -> None:
    """Write the files into a run folder, which may hold an earlier state of it.

    Last comes what marks the folder as a run, and then what marks a seed as complete.
    """
    for name in sorted(files, key=lambda name: (name.endswith("metrics.json"), name == "config.yaml", name)):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(files[name])


def _kept(files: Files, folder: Path) -> RunError | None:
    """`unpack` what a worker sent, or say why that is not possible."""
    try:
        unpack(files, folder)
    except OSError as error:
        return RunError(
            f"{folder}: was trained, but cannot be written here ({error.strerror or error}); make room, and "
            "give the same command again"
        )
    return None


class _Data:
    """Data sets that the cluster holds, each sent once."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def of(self, job: Job) -> Any:
        import ray

        key = json_hash(job.config.dataset.model_dump(mode="json"))
        if key not in self.sent:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # shown when the comparison was checked
                self.sent[key] = ray.put(job.config.dataset.load())
        return self.sent[key]


def _lock(job: Job, lock: ExitStack) -> None:
    """
    Raises:
        RunError: another process trains in the job's folder.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    lock.enter_context(RunFolder(job.folder, job.config, "").locked())


def _failure(job: Job, error: Exception) -> Failure:
    if isinstance(error, AnchorRecError):
        return Failure(job.label, job.seed, str(error), error.exit_code)
    if not isinstance(error, OSError | MemoryError):
        traceback.print_exception(error)
    return Failure(job.label, job.seed, f"{type(error).__name__}: {error}", 1)
