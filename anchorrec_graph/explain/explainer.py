"""`Explainer`: why a trained model shows a user an item, with real ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features
from anchorrec_graph.data.ids import Ids
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.evaluator import EvaluateConfig, Split
from anchorrec_graph.evaluate.ranking import top_k
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.explain.explanation import Explanation
from anchorrec_graph.explain.of_user import Asked, Items, explain_to, only_user
from anchorrec_graph.explain.shapley import Segment, shapley_table
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
        features = native_features(data)
        self.items = Items.of(data["item"].table, features)
        self._user_ids, self._item_ids = Ids("user", data["user"].ids), Ids("item", self.items.ids)
        self.user_ids = self._user_ids.names
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
        user = self._user_ids.row(user_id)
        item = self._best(user) if item_id is None else self._item_ids.row(item_id)
        _, bought = self._bought.select(torch.tensor([user]))
        _, known = self._known.select(torch.tensor([user]))
        rows, reason = None, None
        try:
            with torch.no_grad():
                rows = self.model.user_parts(user, bought)
        except ConfigError as error:
            reason = str(error)
        asked = Asked(self.user_ids[user], only_user(self.embeddings, user), bought, known, rows, reason)
        return explain_to(asked, self.items, item, num_similar)

    def shapley(
        self,
        split: Split = "validation",
        metric: str = "Recall@20",
        users: Sequence[str] | None = None,
        segment: Segment | None = None,
    ) -> pl.DataFrame:
        """The exact Shapley value of each view in a metric (`shapley_table`), for these users or for all."""
        rows = None if users is None else self._user_ids.rows(users).tolist()
        return shapley_table(self.embeddings, self.data, self.evaluate, split, metric, rows, segment)

    def _best(self, user: int) -> int:
        item = int(top_k(self.embeddings, torch.tensor([user]), 1, self._known).items)
        if item < 0:
            raise DataError(f"user '{self.user_ids[user]}' has every item; name the item to explain")
        return item
