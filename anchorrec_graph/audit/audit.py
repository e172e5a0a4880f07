"""`audit`: what trained models do to groups of items and of users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.audit.groups import Groups, find_groups
from anchorrec_graph.audit.lists import Known
from anchorrec_graph.audit.measure import Subject, measure_lists
from anchorrec_graph.audit.runs import Audited, open_runs
from anchorrec_graph.audit.tables import GAP_SCHEMA, GROUP_SCHEMA, Row
from anchorrec_graph.data.base import native_features
from anchorrec_graph.diagnose.removal import with_views
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate import EvaluateConfig, Evaluator, Split
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.settings import check_names
from anchorrec_graph.typing import Embeddings

LEAST = 20  # items, or users, that a group needs


class About(NamedTuple):
    """What was audited, and how."""

    dataset: str
    split: Split
    k: int
    users: int  # with a held-out item
    items: int
    seeds: dict[str, list[int]]  # of every model
    mask: list[str]  # splits whose pairs were no candidates
    least: int
    groups: list[tuple[str, str, int]]  # of, by, and how many small groups were folded


class Audit(NamedTuple):
    """Measures of groups, and gaps between groups.

    Both tables have the columns model, without (the view removed, "" for none), of ("lists", "items",
    "users"), by, measure, group, value (mean over seeds), sd (over seeds, null for one), low and high (95 %
    bootstrap interval over users, null where there is none). Values that do not exist are null.

    groups: of "lists" (group "(all)"): recall, ndcg, popularity_lift, diversity <modality>, coverage, gini
        by "(all)", and kl, js by every grouping of items. Of "items": size, share, train_share,
        held_out_share, exposure, weighted_exposure, lift, recall, ndcg. Of "users": size, share, recall,
        ndcg, popularity_lift, diversity <modality>. Each grouping has a group "(all)".
    gaps: group minus `against`: the group with the largest value against the one with the smallest,
        and every group against "(all)". `(other)` is never the largest or smallest.
    """

    groups: pl.DataFrame
    gaps: pl.DataFrame
    about: About

    def wide(self, of: str, by: str, model: str, without: str = "") -> pl.DataFrame:
        """One row per group, in order, `(all)` last: group, and a column per measure."""
        rows = self.groups.filter(of=of, by=by, model=model, without=without)
        return rows.pivot("measure", index="group", values="value")

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "about": self.about._asdict(),
            "groups": self.groups.to_dicts(),
            "gaps": self.gaps.to_dicts(),
        }


def audit(
    runs: Sequence[str | Path],
    by: Sequence[str] = (),
    *,
    split: Split = "test",
    k: int = 20,
    without: Sequence[str] | Literal["each"] = (),
    seed: int | None = None,
    least: int = LEAST,
) -> Audit:
    """Audit the lists of trained runs: all seeds of each, on the users with a held-out item.

    Items that the run's `evaluate.mask` names are no candidates. The default split is test, since an audit
    judges a finished model; to choose among models, audit them on validation.

    Args:
        runs: run folders, each `FOLDER` or `LABEL=FOLDER`, that share interactions, split and mask.
        by: columns of the item or user table, `popularity`, `cold`, `activity`; default all (`find_groups`).
        k: length of the lists.
        without: views of which each is removed in turn, without retraining (`with_views`), as one more
            model; "each" for all views.
        seed: only this seed of each run.
        least: groups with fewer items or users are put together as `(other)`; a group of items in which
            fewer users have a held-out item gets no recall and ndcg.

    Raises:
        RunError: a run is missing, damaged or not trained, or has no such seed.
        DataError: interactions or split differ, or the split is empty.
        ConfigError: masks or labels, an unknown column or view, or k or least below 1.
    """
    opened = open_runs(runs, k, seed)
    return audit_models(
        opened.models, opened.data, opened.evaluate, by, split=split, without=without, least=least
    )


def audit_models(
    models: Iterable[Audited],
    data: HeteroData,
    evaluate: EvaluateConfig,
    by: Sequence[str] = (),
    *,
    split: Split = "test",
    without: Sequence[str] | Literal["each"] = (),
    least: int = LEAST,
) -> Audit:
    """`audit` of models at hand; `evaluate` gives the mask, and its largest K the length of the lists."""
    if least < 1:
        raise ConfigError(f"groups need at least 1 member, not {least}")
    evaluator = Evaluator(evaluate, data)
    subject = make_subject(data, evaluator.users(split), by, split, least)
    lists: dict[tuple[str, str], list[Tensor]] = {}
    seeds: dict[str, list[int]] = {}
    seen_views: dict[str, None] = {}
    for label, seed, embeddings in models:
        seeds.setdefault(label, []).append(seed)
        seen_views |= dict.fromkeys(embeddings.views)
        for view in ["", *_removed(embeddings, without)]:
            lists.setdefault((label, view), []).append(_lists(embeddings, view, evaluator, split))
    check_names("--without", "view", () if without == "each" else without, seen_views)
    rows: list[Row] = []
    gaps: list[Row] = []
    for (label, view), of_seeds in lists.items():
        found, differences = measure_lists(of_seeds, subject)
        rows += [{"model": label, "without": view} | row for row in found]
        gaps += [{"model": label, "without": view} | row for row in differences]
    about = About(
        dataset=str(data.manifest["name"]),
        split=split,
        k=evaluator.max_k,
        users=len(subject.known.users),
        items=subject.known.train.num_items,
        seeds=seeds,
        mask=[name for name in evaluate.mask if name != split],
        least=least,
        groups=[(one.of, one.by, one.folded) for one in subject.groups],
    )
    return Audit(pl.DataFrame(rows, GROUP_SCHEMA), pl.DataFrame(gaps, GAP_SCHEMA), about)


def make_subject(
    data: HeteroData, users: Tensor, by: Sequence[str], split: Split, least: int = LEAST
) -> Subject:
    """The groups `by` (see `find_groups`) of the data, and what its lists are measured against."""
    known = Known(users, positives(data, "train"), positives(data, split))
    groups: list[Groups] = find_groups(data, by, known.item_users, users, known.train.counts()[users], least)
    return Subject(known, groups, native_features(data), least)


def _removed(embeddings: Embeddings, without: Sequence[str] | Literal["each"]) -> list[str]:
    """The views to remove: with a single view nothing would be left."""
    if len(embeddings.views) < 2:
        return []
    return [view for view in embeddings.views if without == "each" or view in without]


def _lists(embeddings: Embeddings, removed: str, evaluator: Evaluator, split: Split) -> Tensor:
    """[n, K] the lists without a view; empty where the other views score nothing."""
    if removed:
        embeddings = with_views(embeddings, (view for view in embeddings.views if view != removed))
        if not (embeddings.user.any() and embeddings.item.any()):
            return torch.full((len(evaluator.users(split)), evaluator.max_k), -1)
    return evaluator.evaluate(embeddings, split).items
