"""What the runs do to groups of items and of users."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from anchorrec_graph.audit import Audited, audit_models
from anchorrec_graph.audit.audit import LEAST
from anchorrec_graph.audit.columns import OTHER, column_labels, fold_small
from anchorrec_graph.audit.layout import sections
from anchorrec_graph.report.blocks import Block, Paragraph, Section, table
from anchorrec_graph.report.categories import Categories
from anchorrec_graph.report.lift_figure import lift_figure
from anchorrec_graph.report.sources import Sources

MOST_GROUPS = 8  # of each grouping


def audit_section(sources: Sources, kinds: Categories | None) -> Section:
    """Groups of items by popularity and by the column of the maps, of users by activity; test, all seeds."""
    data, evaluate = sources.task.data, sources.task.evaluate
    by = ["popularity", "activity"]
    if kinds is not None and _has_groups(data["item"].table[kinds.column]):
        by.append(kinds.column)
    audit = audit_models(_models(sources), data, evaluate, by, split="test", without="each")
    about = audit.about
    blocks: list[Block] = [
        Paragraph(
            f"The {about.k} best items of {about.users:,} users with {about.split} pairs. anchorrec audit "
            "has every group and measure, and can hold limits."
        )
    ]
    lifts = lift_figure(audit)
    if lifts is not None:
        blocks.append(lifts)
    for part in sections(audit, most=MOST_GROUPS):
        blocks.append(table(part.title, part.columns, part.rows))
        blocks += [Paragraph(sentence) for sentence in part.sentences]
    return Section("audit", "Audit by group", blocks)


def _has_groups(column: pl.Series) -> bool:
    """Whether a group is large enough for an audit."""
    groups, _ = fold_small(column_labels(column), LEAST)
    return any(name != OTHER for name in groups.order)


def _models(sources: Sources) -> Iterator[Audited]:
    for run in sources.runs:
        for seed in run.seeds:
            yield Audited(run.label, seed, run.embeddings(seed))
