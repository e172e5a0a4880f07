"""Runs jobs in processes of their own, several at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import torch

from anchorrec_graph.compare.costs import save_cost
from anchorrec_graph.compare.runs import Job, is_finished
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.errors import AnchorRecError
from anchorrec_graph.registry import import_modules, imported_modules
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.run import RunFolder, RunInUse

CONTEXT: BaseContext = multiprocessing.get_context("spawn")
IN_USE = 75  # exit code of a child to whose run another program was faster (EX_TEMPFAIL)
LATER = 1.0  # seconds between two looks at what other programs train


class Failure(NamedTuple):
    """A job that did not come to its end."""

    label: str
    seed: int
    message: str
    exit_code: int


Done = Callable[[Job, float, Failure | None], None]  # called after each job, with its seconds


class _Running(NamedTuple):
    job: Job
    process: BaseProcess
    started: float


def run_jobs(jobs: Sequence[Job], workers: int, done: Done) -> list[Failure]:
    """Train every job in a fresh process, `workers` at once; one that fails does not stop the others.

    A job that another program is training waits for that one, and others go first. The threads that torch
    would use here are shared out among the workers. If this function is left by an exception, or this
    process dies, the children end; their checkpoints stay.
    """
    threads = max(1, torch.get_num_threads() // workers)
    waiting, running, failures = deque(jobs), dict[Connection, _Running](), list[Failure]()
    try:
        while waiting or running:
            while len(running) < workers and (free := _first_free(waiting)):
                reader, child = _start(free, threads)
                running[reader] = child
            for ready in wait(list(running), LATER if waiting else None):
                assert isinstance(ready, Connection)
                job, process, started = running[ready]
                failure = _outcome(ready, job, process)
                del running[ready]
                if process.exitcode == IN_USE:
                    waiting.append(job)
                    continue
                failures += [failure] if failure else []
                done(job, time.monotonic() - started, failure)
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.join()
    return failures


def _first_free(waiting: deque[Job]) -> Job | None:
    """Take out the first job that no other program is training."""
    for job in waiting:
        if not RunFolder.in_use(job.folder):
            waiting.remove(job)
            return job
    return None


def _start(job: Job, threads: int) -> tuple[Connection, _Running]:
    reader, writer = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_train, args=(job, threads, imported_modules(), writer), name=job.title)  # type: ignore[attr-defined]
    with _children_inherit(threads):
        process.start()
    writer.close()  # the child has its own: without ours, its end is the end of the pipe
    return reader, _Running(job, process, time.monotonic())


def _outcome(reader: Connection, job: Job, process: BaseProcess) -> Failure | None:
    try:
        error = reader.recv()
    except EOFError:
        error = None
    reader.close()
    process.join()
    if error is not None:
        return Failure(job.label, job.seed, *error)
    if process.exitcode in (0, IN_USE):
        return None
    reason = f"the process ended with {process.exitcode}"
    if process.exitcode == -9:
        reason = "the process was killed, perhaps for want of memory; try fewer --jobs"
    return Failure(job.label, job.seed, reason, 1)


@contextmanager
def _children_inherit(threads: int) -> Iterator[None]:
    """A child starts with this number of threads, and leaves Ctrl-C to its parent, who ends it."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    main = threading.current_thread() is threading.main_thread()  # only there are signals set
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _train(job: Job, threads: int, modules: Sequence[str], writer: Connection) -> None:
    """In the child: train, and send (message, exit code) if that fails.

    What another process has finished meanwhile stays, with its cost.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore", DataWarning)  # the parent has loaded the same data, and shown them
    try:
        import_modules(modules)
        data = job.config.dataset.load()
        if not is_finished(job, data.manifest):
            fit(job.config, data, job.folder, (job.folder / "config.yaml").exists())
            save_cost(job.folder, threads)
    except RunInUse:
        sys.exit(IN_USE)
    except AnchorRecError as error:
        writer.send((str(error), error.exit_code))
    except Exception as error:
        if not isinstance(error, OSError | MemoryError):
            traceback.print_exc()
        writer.send((f"{type(error).__name__}: {error}", 1))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
