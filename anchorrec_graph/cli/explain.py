"""anchorrec explain"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import typer

from anchorrec_graph.cli.options import AsJson, Quiet, RunPath, Seed, one_line, print_json, print_table
from anchorrec_graph.encoders.fused import FUSED
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.explain import Explainer, Explanation, Own, Purchase
from anchorrec_graph.files import save_json
from anchorrec_graph.models.base import HISTORY, ID, POPULARITY

VIEWS = {  # of several models, in a reader's words
    ID: "who bought what",
    FUSED: "all modalities together",
    HISTORY: "what goes with the user's items",
    POPULARITY: "the same for every user",
}


def explain(
    run: RunPath,
    user: Annotated[str | None, typer.Option("--user", "-u", metavar="ID", help="A user id.")] = None,
    item: Annotated[
        str | None, typer.Option("--item", "-i", metavar="ID", help="Default: the user's best new item.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many purchases are shown.")] = 8,
    shapley: Annotated[
        bool, typer.Option("--shapley", help="What each view is worth in a metric, for a user or for all.")
    ] = False,
    split: Annotated[
        Literal["validation", "test"], typer.Option(help="With --shapley: which held-out items.")
    ] = "validation",
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="With --shapley: a metric per user, such as NDCG@20.")
    ] = "Recall@20",
    segment: Annotated[
        Literal["activity"] | None, typer.Option(help="With --shapley: also by quartile of the users.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write everything as .json.")] = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say where a score comes from, by view and purchase.

    The parts sum to the score. A file and JSON also hold the part of every pair of views.
    """
    if user is None and not shapley:
        raise ConfigError("name a --user, or give --shapley for all users together")
    if item is not None and shapley:
        raise ConfigError("--shapley measures whole lists, so it takes no --item")
    if out is not None and out.suffix != ".json":
        raise ConfigError(f"--out {out}: the file must end in .json")
    explainer = Explainer.from_run(run, seed)
    report: dict[str, Any]
    if shapley:
        table = explainer.shapley(split, metric, None if user is None else [user], segment)
        report = {"run": str(run), "user": user, "shapley": table.to_dicts()}
    else:
        explanation = explainer.explain(str(user), item)
        report = {"run": str(run), **explanation.to_dict()}
    if out is not None:
        save_json(out, report)
    if as_json:
        print_json(report)
    elif shapley:
        print_shapley(table, user)
    else:
        print_explanation(explanation, k)
    if out is not None and not as_json and not quiet:
        print(f"written to {out}")


def print_explanation(found: Explanation, k: int) -> None:
    """A summary, then the tables behind it, for someone who does not know the model."""
    print(_summary(found))
    rows: list[list[object]] = []
    for part in found.views:
        knows = VIEWS.get(part.view, f"{part.view} of the items")
        rows.append([part.view, knows, part.value, _percent(part.share), part.rank_without])
    columns = ["view", "what it knows", "part", "share", "rank without it"]
    print_table("where the score comes from", columns, rows)
    if found.purchases is None or found.own is None:
        print(one_line(f"purchases are left out; {found.no_purchases}"))
    else:
        _print_purchases(found, found.own, found.purchases, k)
    rows = [
        [modality, other.title, other.cosine] for modality, items in found.similar.items() for other in items
    ]
    if rows:
        print_table("the user's items that are most like it", ["by", "item of the user", "cosine"], rows)


def _print_purchases(found: Explanation, own: Own, purchases: list[Purchase], k: int) -> None:
    rows: list[list[object]] = [
        [part.title, part.value, _percent(part.share), _main_view(part.views), part.rank_without]
        for part in purchases[:k]
    ]
    others = purchases[k:]
    if others:
        value = sum(part.value for part in others)
        share = value / found.score if found.score > 0 else None
        rows.append([f"{len(others)} other items together", value, _percent(share), None, None])
    rows.append(["(none of them)", own.value, _percent(own.share), _main_view(own.views), None])
    columns = ["item of the user", "part", "share", "mostly by view", "rank without it"]
    print_table("which of the user's items it comes through", columns, rows)


def _summary(found: Explanation) -> str:
    """What, where in the list, the largest part, and the view and the item that move the rank most."""
    text = f"{found.title} ({found.item_id}) for user {found.user_id}: score {found.score:.4f}, "
    text += f"rank {found.rank} of {found.candidates}" + (", already the user's" if found.known else "")
    most = found.views[0]
    text += f"; most of it comes from {most.view}" + (f" ({_percent(most.share)})" if most.share else "")
    views = [(part.rank_without, f"without {part.view}") for part in found.views if part.rank_without]
    items = [(part.rank_without, f"without the user's {part.title}") for part in found.purchases or ()]
    for ranks in (views, items):
        worst, without = max(ranks, key=lambda pair: pair[0], default=(0, ""))  # of equals the larger part
        if worst > found.rank:
            text += f"; {without} it would be rank {worst}"
    return one_line(text)


def _main_view(views: dict[str, float]) -> str:
    return max(views, key=lambda view: views[view])


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.0f} %"


def print_shapley(table: pl.DataFrame, user: str | None) -> None:
    """One column per group."""
    split, metric = table.row(0)[:2]
    groups = table.partition_by("group", maintain_order=True)
    columns = [f"{group['group'][0]} ({group['users'][0]})" for group in groups]
    if user is not None:
        columns[0] = f"user {user}"
    rows: list[list[object]] = [
        [view, *(group["value"][place] for group in groups)] for place, view in enumerate(groups[0]["view"])
    ]
    print_table(f"what each view adds to {metric} on {split}", ["view", *columns], rows)
    print("exact Shapley values: a view's mean gain over all orders of adding views; they sum to all views")
