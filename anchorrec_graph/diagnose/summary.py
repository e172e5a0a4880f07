"""Diagnoses side by side: mean and spread over seeds, and text for every cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from anchorrec_graph.diagnose.measures import MEASURES
from anchorrec_graph.diagnose.runs import Diagnosis
from anchorrec_graph.diagnose.spaces import ORACLE, RANDOM


class Place(NamedTuple):
    """Which number: a row of a table of runs, but for the stage."""

    measure: str
    space: str
    against: str
    group: str


class Mean(NamedTuple):
    """A number over the seeds of a run."""

    value: float
    sd: float | None  # sample standard deviation; None for one seed

    def __str__(self) -> str:
        digits = 3 if abs(self.value) < 10 else 1
        spread = "" if self.sd is None else f" ± {self.sd:.{digits}f}"
        return f"{round(self.value, digits) + 0:.{digits}f}{spread}"  # + 0: no -0.000


Means = dict[tuple[str, Place], Mean]  # by stage and place


def long_table(diagnoses: Sequence[Diagnosis]) -> pl.DataFrame:
    """Every number of every run and seed: column run before those of `Diagnosis.table`."""
    return pl.concat(
        [one.table.select(pl.lit(one.label).alias("run"), pl.all()) for one in diagnoses], how="vertical"
    )


def mean_over_seeds(diagnosis: Diagnosis) -> Means:
    """Mean and sample standard deviation of each number, over the seeds that have it."""
    keys = ["stage", *Place._fields]
    value = pl.col("value")
    means = diagnosis.table.group_by(keys, maintain_order=True).agg(value.mean(), value.std().alias("sd"))
    return {(stage, Place(*place)): Mean(mean, sd) for stage, *place, mean, sd in means.rows()}


def places(means: Sequence[Means]) -> list[Place]:
    """The places that any run has: by measure, in the order of `MEASURES`, then as the runs have them."""
    found = dict.fromkeys(place for of_run in means for _, place in of_run)
    order = {measure: number for number, measure in enumerate(MEASURES)}
    return sorted(found, key=lambda place: order[place.measure])


def stages(means: Sequence[Means]) -> list[str]:
    """ "before", "after", and then single epochs, as far as any run has them."""
    found = {stage for of_run in means for stage, _ in of_run}
    epochs = sorted(found - {"before", "after"}, key=lambda stage: int(stage.removeprefix("epoch ")))
    return [*(stage for stage in ("before", "after") if stage in found), *epochs]


def cell(means: Means, place: Place) -> str:
    """ "before → after ± sd", or what there is of it; what no training changes once."""
    before, after = means.get(("before", place)), means.get(("after", place))
    same = place.space in (RANDOM, ORACLE) or place.space.startswith("native/")
    if before is None or after is None or same:
        only = after or before
        return "-" if only is None else str(only)
    return f"{before._replace(sd=None)} → {after}"
