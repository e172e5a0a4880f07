"""From ratios to rows: values of groups and gaps between them, with spread over seeds and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from anchorrec_graph.audit.bootstrap import bootstrap, interval
from anchorrec_graph.audit.columns import ALL
from anchorrec_graph.audit.groups import Groups
from anchorrec_graph.audit.ratios import Ratio, Values, mean_ratio

WITHOUT_GAPS = ("exposure", "weighted_exposure")  # they follow the sizes of the groups
KEYS = dict.fromkeys(("model", "without", "of", "by", "measure", "group"), pl.String)
NUMBERS = dict.fromkeys(("value", "sd", "low", "high"), pl.Float64)
GROUP_SCHEMA = {**KEYS, **NUMBERS}
GAP_SCHEMA = {**KEYS, "against": pl.String, **NUMBERS}
Row = dict[str, Any]


class Measured(NamedTuple):
    """One measure of all groups of one grouping, `(all)` last, for every seed."""

    groups: Groups
    measure: str
    seeds: list[Ratio]


def measured_rows(measured: Sequence[Measured], num_users: int) -> tuple[list[Row], list[Row]]:
    """Rows of groups and of gaps. Values are means over seeds, intervals those of the mean over seeds."""
    draws = bootstrap([mean_ratio(one.seeds) for one in measured], num_users)
    everyone = np.ones((num_users, 1))
    rows: list[Row] = []
    gaps: list[Row] = []
    for one, of_one in zip(measured, draws, strict=True):
        seeds = np.concatenate([ratio.values(everyone) for ratio in one.seeds])
        keys = {"of": one.groups.of, "by": one.groups.by, "measure": one.measure}
        for place, group in enumerate(one.groups.names):
            rows.append(keys | {"group": group} | _numbers(seeds[:, place], of_one[:, place]))
        if one.measure not in WITHOUT_GAPS:
            gaps += [keys | gap for gap in _gaps(one.groups, seeds, of_one)]
    return rows, gaps


def constant_row(groups: Groups, measure: str, group: str, values: Sequence[float]) -> Row:
    """A row without interval; one value per seed."""
    keys = {"of": groups.of, "by": groups.by, "measure": measure, "group": group}
    return keys | _numbers(np.asarray(values, dtype=np.float64), None)


def _gaps(groups: Groups, seeds: Values, draws: Values) -> list[Row]:
    """The group with the largest value minus the one with the smallest, and every group minus `(all)`.

    The pair is chosen by the means over seeds and kept in all seeds and draws.
    """
    mean, comparable = seeds.mean(axis=0), groups.comparable()
    alike = [place for place, use in enumerate(comparable) if use and not np.isnan(mean[place])]
    everyone = len(groups.names) - 1
    pairs = [(place, everyone) for place in range(everyone) if not np.isnan(mean[place])]
    if len(alike) > 1:
        pairs.insert(0, (max(alike, key=lambda g: mean[g]), min(alike, key=lambda g: mean[g])))
    return [
        {"group": groups.names[a], "against": groups.names[b]}
        | _numbers(seeds[:, a] - seeds[:, b], draws[:, a] - draws[:, b])
        for a, b in pairs
    ]


def _numbers(seeds: Values, draws: Values | None) -> Row:
    """Mean and sample standard deviation over seeds [S], and the interval of draws; None for none."""
    value = float(seeds.mean())
    known = not np.isnan(value)
    low, high = (interval(draws) if draws is not None and known else None) or (None, None)
    sd = float(seeds.std(ddof=1)) if len(seeds) > 1 and known else None
    return {"value": value if known else None, "sd": sd, "low": low, "high": high}


def is_whole_gap() -> pl.Expr:
    """Which rows of a table of gaps are largest minus smallest group."""
    return pl.col("against") != ALL
