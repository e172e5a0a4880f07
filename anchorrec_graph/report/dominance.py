"""The dominance panel: how much of the ranking each view makes, and what is lost without it."""

from __future__ import annotations

from collections.abc import Mapping

from anchorrec_graph.diagnose.items import ALL
from anchorrec_graph.diagnose.summary import Means, Place
from anchorrec_graph.report.bars import Panel, bar_figure
from anchorrec_graph.report.blocks import Block, FigureBlock, Paragraph
from anchorrec_graph.report.collapse import bar

SHOWN = {
    "ranking share": "share of the ranking",
    "shapley": "Recall@20 added (Shapley)",
    "removal drop": "Recall@20 lost without it",
}

ABOUT = (
    "A score is the sum of what the views of the model give: an id, a modality, the history or the "
    "popularity of an item. The bars tell how much of the ranking each view makes, and what it is worth."
)


def dominance_blocks(means: Mapping[str, Means]) -> list[Block]:
    several = {label: of for label, of in means.items() if len(_views(of)) > 1}
    without = [label for label in means if label not in several]
    blocks: list[Block] = []
    if without:
        blocks.append(Paragraph(f"With one view only, which makes all of the score: {', '.join(without)}."))
    if several:
        blocks.append(Paragraph(ABOUT))
        rows = [[_panel(of, measure) for measure in SHOWN] for of in several.values()]
        said = "; ".join(
            f"{label}: " + ", ".join(f"{one.label} {one.after or 0:.2f}" for one in row[0].bars)
            for label, row in zip(several, rows, strict=True)
        )
        blocks.append(
            FigureBlock(
                "dominance",
                bar_figure(rows, list(several)),
                f"Share of the ranking by view. {said}.",
                "Share of the ranking: of what orders a user's items, all views sum to 1; a negative view "
                "works against the others. Shapley: Recall@20 that a view adds, fairly shared; all views sum "
                "to the model's. Lost without it: Recall@20 of the model minus that without the view, not "
                "retrained; 0 or less: not needed. Measured on validation.",
            )
        )
    return blocks


def _views(means: Means) -> list[str]:
    return [p.space for stage, p in means if stage == "after" and p.measure == "ranking share"]


def _panel(means: Means, measure: str) -> Panel:
    places = [Place(measure, view, "", ALL) for view in _views(means)]
    return Panel(SHOWN[measure], [bar(p.space.removeprefix("view/"), means, p) for p in places], {})
