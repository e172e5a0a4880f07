"""`Explainer`: why a trained model shows a user an item, with real ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.diagnose.dominance import pair_parts
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.evaluator import EvaluateConfig, Split
from anchorrec_graph.evaluate.ranking import top_k
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.explain.explanation import Explanation, Own, PairPart, Purchase, Similar, ViewPart
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.explain.purchases import purchase_parts
from anchorrec_graph.explain.ranks import rank, ranks_without_purchases, ranks_without_views
from anchorrec_graph.explain.shapley import Segment, shapley_table
from anchorrec_graph.explain.similar import most_similar
from anchorrec_graph.models.base import Recommender
from anchorrec_graph.train.fit import load_run


class Explainer:
    """Explains the scores of one model.

    Args:
        model: in evaluation mode.
        data: the container that it was trained on; its ids are what callers use.
        evaluate: how `shapley` ranks.
    """

    def __init__(self, model: Recommender, data: HeteroData, evaluate: EvaluateConfig | None = None) -> None:
        self.model, self.data, self.evaluate = model, data, evaluate or EvaluateConfig()
        with torch.no_grad():
            self.embeddings = model.encode()
        table: pl.DataFrame = data["item"].table
        self.item_ids = table["item_id"].cast(pl.String).to_list()
        titles = table["title" if "title" in table.columns else "item_id"].cast(pl.String).to_list()
        self.titles = [title or item for title, item in zip(titles, self.item_ids, strict=True)]
        self.user_ids = [str(user) for user in data["user"].ids]
        self._user_row = {user: row for row, user in enumerate(self.user_ids)}
        self._item_row = {item: row for row, item in enumerate(self.item_ids)}
        self._bought, self._known = positives(data, "train"), positives(data, "train", "validation")

    @classmethod
    def from_run(cls, folder: str | Path, seed: int | None = None) -> Explainer:
        """The explainer of a run folder. Raises what `load_run` raises."""
        run = load_run(folder, seed)
        return cls(run.model, run.data, run.config.evaluate)

    def explain(self, user_id: str, item_id: str | None = None, num_similar: int = 3) -> Explanation:
        """Where the score of a user and an item comes from.

        A model whose users are no sums over their items (`Recommender.user_parts`) still gets all but the
        purchases; `no_purchases` says why.

        Args:
            item_id: default the best item that the user does not have.
            num_similar: how many items of the user are named per modality.

        Raises:
            DataError: an unknown user or item, or a user who has every item.
        """
        user = _row(self._user_row, user_id, "user")
        item = self._best(user) if item_id is None else _row(self._item_row, item_id, "item")
        score = float(self.embeddings.user[user].double() @ self.embeddings.item[item].double())
        _, known = self._known.select(torch.tensor([user]))
        candidates = torch.ones(len(self.item_ids), dtype=torch.bool)
        candidates[known] = False
        candidates[item] = True
        own, purchases, reason = self._purchases(user, item, candidates, score)
        return Explanation(
            user_id=self.user_ids[user],
            item_id=self.item_ids[item],
            title=self.titles[item],
            score=score,
            rank=rank(self.embeddings.scores(torch.tensor([user]))[0], item, candidates),
            candidates=int(candidates.sum()),
            known=bool((known == item).any()),
            views=self._views(user, item, candidates, score),
            pairs=self._pairs(user, item),
            own=own,
            purchases=purchases,
            no_purchases=reason,
            similar={m: self._similar(m, user, item, num_similar) for m in self.data.modalities},
        )

    def shapley(
        self,
        split: Split = "validation",
        metric: str = "Recall@20",
        users: Sequence[str] | None = None,
        segment: Segment | None = None,
    ) -> pl.DataFrame:
        """The exact Shapley value of each view in a metric (`shapley_table`), for these users or for all."""
        rows = None if users is None else [_row(self._user_row, user, "user") for user in users]
        return shapley_table(self.embeddings, self.data, self.evaluate, split, metric, rows, segment)

    def _best(self, user: int) -> int:
        item = int(top_k(self.embeddings, torch.tensor([user]), 1, self._known).items)
        if item < 0:
            raise DataError(f"user '{self.user_ids[user]}' has every item; name the item to explain")
        return item

    def _views(self, user: int, item: int, candidates: Tensor, score: float) -> list[ViewPart]:
        parts = view_parts(self.embeddings, torch.tensor([user]), torch.tensor([item]))
        ranks = ranks_without_views(self.embeddings, user, item, candidates)
        views = [
            ViewPart(name, float(part), _share(float(part), score), ranks[name])
            for name, part in parts.items()
        ]
        return sorted(views, key=lambda part: -part.value)

    def _pairs(self, user: int, item: int) -> list[PairPart]:
        parts = pair_parts(self.embeddings, torch.tensor([user]), torch.tensor([item]))
        return sorted((PairPart(a, b, float(part)) for (a, b), part in parts.items()), key=lambda p: -p.value)

    def _purchases(
        self, user: int, item: int, candidates: Tensor, score: float
    ) -> tuple[Own | None, list[Purchase] | None, str | None]:
        _, items = self._bought.select(torch.tensor([user]))
        try:
            with torch.no_grad():
                rows = self.model.user_parts(user, items)
        except ConfigError as error:
            return None, None, str(error)
        parts = purchase_parts(rows, self.embeddings, item)
        ranks = ranks_without_purchases(rows, self.embeddings, user, item, candidates)
        found = []
        for place in range(1 + len(items)):
            views = {name: float(part[place]) for name, part in parts.items()}
            value = sum(views.values())
            found.append((value, _share(value, score), views))
        purchases = [
            Purchase(self.item_ids[j], self.titles[j], value, share, ranks[place], views)
            for place, (j, (value, share, views)) in enumerate(zip(items.tolist(), found[1:], strict=True))
        ]
        return Own(*found[0]), sorted(purchases, key=lambda part: -part.value), None

    def _similar(self, modality: str, user: int, item: int, k: int) -> list[Similar]:
        _, items = self._bought.select(torch.tensor([user]))
        found, cosine = most_similar(self.data["item"][modality], item, items[items != item], k)
        return [
            Similar(self.item_ids[j], self.titles[j], value)
            for j, value in zip(found.tolist(), cosine.tolist(), strict=True)
        ]


def _share(value: float, score: float) -> float | None:
    return value / score if score > 0 else None


def _row(rows: dict[str, int], wanted: str, kind: str) -> int:
    if str(wanted) not in rows:
        raise DataError(f"unknown {kind} '{wanted}'; ids look like '{next(iter(rows))}'")
    return rows[str(wanted)]
