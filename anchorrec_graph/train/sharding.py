"""A model's user and item tables cut over the processes of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.graphs import SampledBatch
from anchorrec_graph.models.base import Recommender
from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train.ranks import Ranks
from anchorrec_graph.typing import Batch

TABLES = ("user", "item")


class Sharding:
    """The cut tables of a model; with one process there is nothing to cut. All ranks call every method.

    Raises:
        ConfigError: several processes, and the model has no table to cut.
    """

    def __init__(self, model: Recommender, ranks: Ranks) -> None:
        self.model, self.ranks = model, ranks
        self.tables: dict[str, ShardedTable] = {}
        for name in TABLES if ranks.size > 1 else ():
            table = getattr(model, name, None)
            if isinstance(table, nn.Embedding):
                self.tables[name] = ShardedTable(table, ranks)
                setattr(model, name, self.tables[name])
        if ranks.size > 1 and not self.tables:
            raise ConfigError(
                f"train.shard_tables cuts an nn.Embedding 'user' or 'item' of a model, and "
                f"{type(model).__name__} has neither: leave it out"
            )

    def fetch(self, batches: Sequence[Batch | SampledBatch]) -> None:
        """Get the rows that this rank's batches of a step reach."""
        graphs = [batch.graphs for batch in batches if isinstance(batch, SampledBatch)]
        for name, table in self.tables.items():
            reached = [torch.empty(0, dtype=torch.long)]
            for part in graphs:
                ids = part.user_ids if name == "user" else part.item_ids
                reached += [] if ids is None else [ids]
            table.fetch(torch.cat(reached).unique())

    def send_back(self) -> None:
        """Bring the gradients of a step to the owners of the rows."""
        for table in self.tables.values():
            table.send_back()

    def undo(self) -> None:
        """Put whole tables back into the model."""
        for name, table in self.tables.items():
            setattr(self.model, name, nn.Embedding.from_pretrained(table.whole(), freeze=False))
        self.tables = {}

    def whole(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the model with whole tables, from one with this rank's part of each."""
        cut = {f"{name}.weight": table for name, table in self.tables.items()}
        return {name: cut[name].gathered(x) if name in cut else x for name, x in weights.items()}
