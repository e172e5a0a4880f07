"""`compare`: train what is missing, score what others made, and write one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.compare.cluster import run_jobs_on
from anchorrec_graph.compare.external import score_external
from anchorrec_graph.compare.labels import Entry, check_labels
from anchorrec_graph.compare.processes import Failure, run_jobs
from anchorrec_graph.compare.runs import Job, Result, is_finished, make_jobs, read_result
from anchorrec_graph.compare.table import Row, make_rows, shown_metrics
from anchorrec_graph.compare.task import Task, shared_task
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.settings import check_names
from anchorrec_graph.train.environment import environment

Report = Callable[[str], None]  # gets a line per job


class Comparison(NamedTuple):
    """A finished table and where it comes from."""

    rows: list[Row]
    metrics: list[str]  # shown, in this order
    reference: str
    seeds: list[int]
    task: Task
    failures: list[Failure]  # their labels have no row
    environment: dict[str, Any]

    def raise_failures(self) -> None:
        """Raise what stopped some of the jobs, if any were."""
        if self.failures:
            raise failed(self.failures)


def compare(
    entries: Sequence[Entry],
    seeds: Sequence[int],
    out: str | Path,
    *,
    workers: int = 1,
    cluster: Cluster | None = None,
    externals: Mapping[str, Sequence[Path]] | None = None,
    reference: str | None = None,
    metrics: Sequence[str] = (),
    report: Report = lambda line: None,  # noqa: ARG005
) -> Comparison:
    """Test results of every entry with every seed, and of other programs, under one evaluation.

    Runs are kept in `<out>/runs`; finished ones are used again and interrupted ones go on. All is checked
    before anything is trained.

    Args:
        workers: processes at once; timings of processes that share a machine are not those of one alone.
        cluster: trains instead of processes on this machine, see `anchorrec_graph.cluster`.
        externals: label -> files, see `score_external`.
        reference: the label that the others are tested against; default the first.
        metrics: see `shown_metrics`.

    Raises:
        ConfigError: labels, seeds, metrics or workers, or evaluations that differ.
        DataError: interactions or splits that differ, or a malformed file of another program.
        RunError: a run in `out` is damaged or of other data.
        AnchorRecError: the reference, or every row, failed. Other failures are in the result.
    """
    if not entries:
        raise ConfigError("name at least one configuration")
    if workers < 1:
        raise ConfigError(f"{workers} processes at once: start at least one")
    labels = [*(entry.label for entry in entries), *(externals or {})]
    check_labels(labels)
    reference = labels[0] if reference is None else reference
    check_names("--reference", "label", [reference], labels)
    shown = shown_metrics(metrics, entries[0].config.evaluate.metrics)
    jobs = make_jobs(entries, seeds, Path(out))
    task = shared_task(entries)
    outside = {label: [score_external(p, task) for p in paths] for label, paths in (externals or {}).items()}

    failures = _train(jobs, task, workers, cluster, report)
    lost = {failure.label for failure in failures}
    if reference in lost or lost == set(labels):
        raise failed(failures)
    results: dict[str, list[Result]] = {label: [] for label in labels if label not in lost}
    for job in jobs:
        if job.label not in lost:
            results[job.label].append(read_result(job))
    rows = make_rows(results | outside, shown, reference)
    return Comparison(rows, shown, reference, list(seeds), task, failures, environment())


def _train(
    jobs: Sequence[Job], task: Task, workers: int, cluster: Cluster | None, report: Report
) -> list[Failure]:
    """Run the jobs that are not finished; what two labels share once."""
    total, done = len(jobs), 0

    def say(job: Job, text: str) -> None:
        nonlocal done
        done += 1
        report(f"[{done}/{total}] {job.title}: {text}")

    def ended(job: Job, seconds: float, failure: Failure | None) -> None:
        say(job, f"failed: {failure.message}" if failure else f"{_headline(job)}, {seconds:.0f} s")

    missing, twins = dict[Path, Job](), list[Job]()
    for job in jobs:
        if is_finished(job, task.manifests[job.label]):
            say(job, f"{_headline(job)}, from an earlier comparison")
        elif missing.setdefault(job.folder, job) is not job:
            twins.append(job)
    try:
        new = list(missing.values())
        failures = run_jobs(new, workers, ended) if cluster is None else run_jobs_on(cluster, new, ended)
    except KeyboardInterrupt as stop:
        others = "others have a checkpoint" if cluster is None else "others begin anew"
        stop.add_note(f"give the same command again to go on: finished runs stay, {others}")
        raise
    failed_jobs = {(failure.label, failure.seed): failure for failure in failures}
    for job in twins:
        failure = failed_jobs.get((missing[job.folder].label, job.seed))
        ended(job, 0.0, failure)
        failures += [failure._replace(label=job.label)] if failure else []
    return failures


def _headline(job: Job) -> str:
    metric = job.config.train.metric
    return f"test {metric} {read_result(job).test[metric]:.4f}"


def failed(failures: Sequence[Failure]) -> AnchorRecError:
    """One error for all failures, with the exit code of the first."""
    error = AnchorRecError("; ".join(f"{f.label}, seed {f.seed}: {f.message}" for f in failures))
    error.exit_code = failures[0].exit_code
    return error
