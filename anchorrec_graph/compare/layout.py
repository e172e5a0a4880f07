"""What every printed form of the table says: its columns, cells and the sentences below it."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from anchorrec_graph.compare.comparison import Comparison
from anchorrec_graph.compare.costs import Cost
from anchorrec_graph.compare.table import Cell
from anchorrec_graph.compare.task import Task
from anchorrec_graph.train.environment import machine_of, versions_of


class Text(NamedTuple):
    """The text of a cell; rank 1 is set bold and rank 2 underlined or in italics."""

    text: str
    rank: int | None = None


class Grid(NamedTuple):
    """A header and rows of as many entries; the first column is text, the others are numbers."""

    columns: list[str]
    rows: list[list[Text]]


COSTS = ("s to build", "s / epoch", "s to best epoch", "peak MiB", "parameters")


def results_grid(comparison: Comparison) -> Grid:
    """Label, number of seeds, `mean ± sd` of each metric (` ≈`: tests tell no difference), costs."""
    rows = [
        [
            Text(row.label),
            Text(str(len(row.results))),
            *(Text(_mean(row.cells[name]), row.cells[name].rank) for name in comparison.metrics),
            *map(Text, _costs(row.cost)),
        ]
        for row in comparison.rows
    ]
    return Grid(["model", "seeds", *comparison.metrics, *COSTS], rows)


def tests_grid(comparison: Comparison) -> Grid:
    """Every other row against the reference: difference, p of the t-test, p of Wilcoxon's test."""
    others = [row for row in comparison.rows if row.label != comparison.reference]
    rows = [
        [Text(row.label), *(Text(_test(row.cells[name])) for name in comparison.metrics)] for row in others
    ]
    return Grid([f"minus {comparison.reference}", *comparison.metrics], rows)


def notes(comparison: Comparison) -> list[str]:
    """Sentences that say what was measured, on what, where and by which command."""
    task, reference = comparison.task, comparison.reference
    data = task.data.manifest
    about = [
        f"Test of {data['name']} (interactions and split {task.hash}), full ranking: "
        f"{_users(task)} of {task.pairs.users}, {task.pairs.items} items; "
        f"masked: {', '.join(task.evaluate.mask) or 'nothing'}.",
        f"Mean ± sample sd over seeds {', '.join(map(str, comparison.seeds))} (or another program's files). "
        "Best: bold; second: underlined or italic.",
        f"≈: not told apart from {reference}: the paired t-test or Wilcoxon's test on per-user values "
        "averaged over seeds has p ≥ .05, Holm-corrected over the rows for each metric. The tests are over "
        "users; the split and the trained models are taken as given.",
    ]
    sentences = about + _lost(comparison) + _cut_off(comparison) + origin(comparison)
    return [" ".join(sentence.split()) for sentence in sentences]  # on one line, whatever the command holds


def _users(task: Task) -> str:
    sampled = task.num_test_users == task.evaluate.max_users
    return f"{task.num_test_users} {'drawn of the ' if sampled else ''}users with test pairs"


def _lost(comparison: Comparison) -> list[str]:
    lost = [f"{failure.label}, seed {failure.seed}" for failure in comparison.failures]
    return [f"Left out, because a run failed: {'; '.join(lost)}."] if lost else []


def _cut_off(comparison: Comparison) -> list[str]:
    """Runs that a larger limit of epochs might have made better."""
    cut = {row.label: sum(bool(r.origin.get("cut_off")) for r in row.results) for row in comparison.rows}
    rows = [f"{label} ({count})" for label, count in cut.items() if count]
    return [f"Runs that ended at train.epochs before patience was spent: {', '.join(rows)}."] if rows else []


def origin(comparison: Comparison) -> list[str]:
    """Sentences that say with which versions, on which machine and by which command."""
    threads = sorted({row.cost.threads for row in comparison.rows if row.cost.threads is not None})
    results = [result for row in comparison.rows for result in row.results]
    commits, versions, machines = (
        sorted({text for result in results for text in result.origin.get(key, ())})
        for key in ("commits", "versions", "machines")
    )
    here = comparison.environment  # for a table of nothing but other programs' files
    return [
        f"Versions: {'; '.join(versions) or versions_of(here)}; "
        f"commit of the runs: {', '.join(commits) or '-'}.",
        f"Machine: {'; '.join(machines) or machine_of(here)}; "
        f"threads of a run: {', '.join(map(str, threads)) or '-'}. "
        "Memory is the peak of the whole process, libraries included.",
        f"Command: {shlex.join(here['command'])}",
    ]


def _mean(cell: Cell) -> str:
    spread = "" if cell.sd is None else f" ± {cell.sd:.4f}"
    return f"{cell.mean:.4f}{spread}{' ≈' if cell.alike else ''}"


def _test(cell: Cell) -> str:
    p_values = [f"{test.holm:.2g}" for test in cell.tests.values()]
    return f"{cell.difference:+.4f}" + (f" (p {', '.join(p_values)})" if p_values else "")


def _costs(cost: Cost) -> list[str]:
    memory = None if cost.peak_memory_bytes is None else cost.peak_memory_bytes / 2**20
    seconds = cost.seconds_to_build, cost.seconds_per_epoch, cost.seconds_to_best_epoch
    values = zip((*seconds, memory, cost.parameters), (".2f", ".2f", ".1f", ".0f", ",d"), strict=True)
    return ["-" if value is None else format(value, form) for value, form in values]
