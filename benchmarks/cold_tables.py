"""Tables of benchmarks/cold.py: means over seeds, and tests over users against one row."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from anchorrec_graph.compare.table import LEVEL, TESTS
from anchorrec_graph.evaluate.cold_items import METRICS
from anchorrec_graph.evaluate.significance import holm, paired_t_test, paired_values

OURS = "anchorrec"
Measured = Mapping[str, list[pl.DataFrame]]  # label -> per-user metrics of every seed


class Cell(NamedTuple):
    """One metric of one label."""

    seeds: list[float]  # mean over the users of each seed
    difference: float | None  # to the reference: mean over users of values averaged over their seeds
    holm: dict[str, float]  # p by kind of test, corrected over the other labels; empty for the reference

    @property
    def sign(self) -> str:
        """Whether the label is below or above the reference, or ≈ where a test does not tell them apart."""
        if self.difference is None:
            return ""
        if any(p >= LEVEL for p in self.holm.values()):
            return "≈"
        return "below" if self.difference < 0 else "above"


def cells(measured: Measured, reference: str) -> dict[str, dict[str, Cell]]:
    """By label and metric. A user's value is the mean over the seeds in which it was measured, so that every
    label has the same users, each once.
    """
    users = {label: user_means(tables) for label, tables in measured.items()}
    others = [label for label in measured if label != reference]
    found: dict[str, dict[str, Cell]] = {label: {} for label in measured}
    for metric in METRICS:
        pairs = {label: paired_values(users[label], users[reference], metric) for label in others}
        p_values = {
            kind: dict(zip(others, holm([test(*pairs[label]).p_value for label in others]), strict=True))
            for kind, test in TESTS.items()
        }
        for label, tables in measured.items():
            means = [float(table[metric].mean()) for table in tables]  # type: ignore[arg-type]
            tested = label in pairs
            difference = paired_t_test(*pairs[label]).difference if tested else None
            corrected = {kind: p_values[kind][label] for kind in TESTS} if tested else {}
            found[label][metric] = Cell(means, difference, corrected)
    return found


def user_means(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Every user once: the mean over the tables that have the user."""
    return pl.concat(tables).group_by("user").agg(pl.col(*METRICS).mean()).sort("user")


def markdown(title: str, rows: Mapping[str, Mapping[str, Cell]], first: str = "model") -> str:
    """One line per label: mean ± sd over seeds, and the difference to the reference with its tests."""
    tested = any(cell.holm for row in rows.values() for cell in row.values())
    names = [first, *METRICS, *([f"{name}: difference, p of t, of Wilcoxon" for name in METRICS] * tested)]
    lines = [f"{title}", "", "| " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) - 1)]
    for label, row in rows.items():
        parts = [mean_sd(row[name].seeds) for name in METRICS]
        parts += [_difference(row[name]) for name in METRICS] * tested
        lines.append(f"| {label} | " + " | ".join(parts) + " |")
    return "\n".join(lines) + "\n"


def mean_sd(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def _difference(cell: Cell) -> str:
    if cell.difference is None:
        return ""
    p_values = ", ".join(f"{p:.2g}" for p in cell.holm.values())
    return f"{cell.sign} {cell.difference:+.4f} ({p_values})"


def items_text(
    dataset: str,
    tables: Mapping[str, Mapping[str, Mapping[str, Cell]]],
    cost: str,
    scans: Mapping[str, Mapping[str, Mapping[str, Cell]]],
    facts: list[dict[str, Any]],
) -> str:
    """The published page about new items."""
    sizes, users = facts[0], statistics.fmean(fact["test users"] for fact in facts)
    drawn, k, weight = (
        ", ".join(str(fact[name]) for fact in facts) for name in ("seed", "k", "feature weight")
    )
    told = (
        f"# Cold items: {dataset}\n\n{sizes['test items']} items held out whole for test and "
        f"{sizes['validation items']} for choices, {sizes['warm items']} to train on; {users:.0f} users on "
        f"average took a test item. Seeds {drawn}: each draws its own items, and trains with that seed. "
        f"Mean ± sd over seeds; differences to {OURS}, Holm-corrected tests over users, each user's values "
        f"averaged over its seeds. Chosen on the validation items: k {k}; feature weight {weight}. "
        "Popularity: all new items have 0 buyers, so their order is random, the same for everyone.\n"
    )
    names = {"new items": "Among the new items alone:", "all items": "Among all items:"}
    texts = [told, *(markdown(names[ranking], rows) for ranking, rows in tables.items()), cost]
    scan = "AnchorRec's attached rows with other weights of the views, on the validation items, {}:"
    texts += [markdown(scan.format(ranking), rows, "weights") for ranking, rows in scans.items()]
    return "\n".join(texts)


def users_text(dataset: str, rows: Mapping[str, Mapping[str, Cell]], facts: list[dict[str, Any]]) -> str:
    """The published page about strangers."""
    users = statistics.fmean(fact["users"] for fact in facts)
    told = (
        f"Users held out whole ({users:.0f} on average), each made from 80 % of its items, against the same "
        "users trained on these; the rest of their items is ranked among all that they do not have. "
        "Differences to the trained users:"
    )
    return f"# Cold users: {dataset}\n\n" + markdown(told, rows, "users")


def as_json(rows: Mapping[str, Mapping[str, Cell]]) -> dict[str, Any]:
    return {
        label: {
            metric: {"mean": statistics.fmean(cell.seeds), **cell._asdict(), "sign": cell.sign}
            for metric, cell in row.items()
            if all(math.isfinite(value) for value in cell.seeds)
        }
        for label, row in rows.items()
    }
