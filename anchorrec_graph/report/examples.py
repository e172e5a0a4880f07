"""Explained examples: why three users get what they get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.explain.explainer import Explainer
from anchorrec_graph.explain.explanation import Explanation
from anchorrec_graph.report.blocks import (
    Block,
    FigureBlock,
    Gallery,
    Heading,
    Paragraph,
    Picture,
    Section,
    table,
)
from anchorrec_graph.report.score_figure import score_figure
from anchorrec_graph.report.sources import Source, Sources
from anchorrec_graph.report.thumbnails import thumbnail

LEVELS = ("among the least active", "of middling activity", "among the most active")
NUM_PURCHASES, NUM_PICTURES = 5, 5


class Example(NamedTuple):
    """A user with a test pair, and why the model's best item is that."""

    level: str
    purchases: int  # training items
    explanation: Explanation


def examples_section(sources: Sources, images: Path | None) -> Section:
    """Three users of the first run in full; what the other runs give them in a table."""
    first, others = sources.runs[0], sources.runs[1:]
    users = example_users(sources)
    examples = explain_users(first, users)
    blocks: list[Block] = [
        Paragraph(
            f"The best item of {len(users)} users by {first.label}, seed {first.seeds[0]}. The users were "
            "chosen by activity, not by how well they look. A score is exactly the sum of its parts by view; "
            "and of what each of the user's own items brings by the last step of propagation, and what comes "
            "through none. Rank without: where the item would stand among those that the user does not have."
        ),
        _figure([example.explanation for example in examples]),
    ]
    for example in examples:
        blocks += _example(example, images)
    if others:
        blocks += [Heading("The same users, other runs"), _others(others, users)]
    return Section("examples", "Explained examples", blocks)


def example_users(sources: Sources) -> list[int]:
    """Of the users with test pairs, in order of training items: those at 1/6, 3/6 and 5/6 of the way."""
    data = sources.task.data
    tested = positives(data, "test").counts() > 0
    bought = positives(data, "train").counts()
    users = (tested & (bought > 0)).nonzero().flatten()
    order = users[bought[users].sort(stable=True).indices].tolist()
    return list(dict.fromkeys(order[len(order) * part // 6] for part in (1, 3, 5))) if order else []


def explain_users(run: Source, users: Sequence[int]) -> list[Example]:
    seed = run.seeds[0]
    with torch.no_grad():
        explainer = Explainer(run.model(seed), run.data, run.config.evaluate)
    bought = positives(run.data, "train").counts()
    return [
        Example(level, int(bought[user]), explainer.explain(str(run.data["user"].ids[user])))
        for level, user in zip(LEVELS, users, strict=False)
    ]


def _figure(explanations: Sequence[Explanation]) -> FigureBlock:
    said = "; ".join(
        f"user {one.user_id}, {one.title}: " + ", ".join(f"{v.view} {v.value:+.2f}" for v in one.views)
        for one in explanations
    )
    return FigureBlock(
        "examples", score_figure(explanations), f"Scores by view. {said}.",
        "The score of each user's best item, split by view. Parts left of zero speak against the item.",
    )  # fmt: skip


def _example(example: Example, images: Path | None) -> list[Block]:
    one = example.explanation
    carried = (one.purchases or [])[:NUM_PURCHASES]
    blocks: list[Block] = [
        Heading(f"User {one.user_id}: {one.title}"),
        Paragraph(
            f"{example.level[0].upper()}{example.level[1:]}: {example.purchases:,} training items. Score "
            f"{one.score:.3f}, rank {one.rank} of {one.candidates:,}. {_in_words(one)}"
        ),
    ]
    if images is not None:
        shown = [(one.item_id, one.title, "recommended")]
        shown += [(p.item_id, p.title, _percent(p.share)) for p in carried[:NUM_PICTURES]]
        pictures = [Picture(title, thumbnail(images, item), note) for item, title, note in shown]
        blocks.append(Gallery("The item, and the purchases that carried it most.", pictures))
    blocks.append(
        table(
            "By view",
            ["view", "part of the score", "share", "rank without it"],
            [[v.view, f"{v.value:+.3f}", _percent(v.share), _rank(v.rank_without)] for v in one.views],
        )
    )
    if one.purchases is None:
        blocks.append(Paragraph(f"Not by purchase: {one.no_purchases}."))
    else:
        rows = [[p.title, f"{p.value:+.3f}", _percent(p.share), _rank(p.rank_without)] for p in carried]
        if one.own is not None:
            rows.append(["through none of the items", f"{one.own.value:+.3f}", _percent(one.own.share), "-"])
        caption = f"By purchase, the {len(carried)} largest of {len(one.purchases):,}"
        blocks.append(table(caption, ["item", "part of the score", "share", "rank without it"], rows))
    rows = [
        [modality, ", ".join(f"{s.title} ({s.cosine:.2f})" for s in similar)]
        for modality, similar in one.similar.items()
        if similar
    ]
    if rows:
        caption = "The user's own items whose features are nearest to it (cosine)"
        blocks.append(table(caption, ["features", "items"], rows))
    return blocks


def _in_words(one: Explanation) -> str:
    best = one.views[0]
    drops = [view for view in one.views if view.rank_without is not None and view.rank_without > one.rank]
    words = f"Most comes from {best.view} ({_percent(best.share)})." if best.share is not None else ""
    if drops:
        worst = max(drops, key=lambda view: view.rank_without or 0)
        return f"{words} Without {worst.view} it would be rank {worst.rank_without}."
    return f"{words} No single view decides its rank."


def _others(runs: Sequence[Source], users: Sequence[int]) -> Block:
    rows = []
    for run in runs:
        for example in explain_users(run, users):
            one = example.explanation
            shares = ", ".join(f"{view.view} {_percent(view.share)}" for view in one.views)
            rows.append([run.label, one.user_id, one.title, shares])
    return table("Best item of the same users by the other runs", ["run", "user", "item", "shares"], rows)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _rank(rank: int | None) -> str:
    return "-" if rank is None else f"{rank:,}"
