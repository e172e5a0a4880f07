"""A modality's own view of the items: where it starts, and its travel over its own item graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from anchorrec_graph.data.features import widened
from anchorrec_graph.graph.hops import Hops
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.graph.row_store import RowStore
from anchorrec_graph.nn.features import FeatureTable

COLUMNS = 64  # of the features that are pooled at a time
ROWS = 65_536  # of the features that are projected at a time
ViewStart = Literal["gate", "feature", "feature+id"]


class ModalityView(nn.Module):
    r"""View :math:`q^m = A_m^L q^m_0` of one modality with features x^m over its item graph A_m.

    `start = "gate"`: :math:`q^m_0 = E \odot \sigma(G_m T_m(x^m) + b_m)`, the ID table seen through
    the features (MGCN, AlignRec, the released AnchorRec).
    `start = "feature"`: :math:`q^m_0 = T_m(x^m)`, the projected features themselves, so that the
    view keeps the modality's structure whatever the ID table learns.
    `start = "feature+id"`: :math:`q^m_0 = T_m(x^m) + E`.

    Features of half floats, also of a memory map, are widened to float32 a block at a time; all blocks are
    kept where a gradient is taken.

    Shapes: features [I, D], E [I, d] -> [I, d].
    """

    pooled: Tensor | None = None  # no part of the state, as it is made of data; see `pool`

    def __init__(self, feature_dim: int, embedding_dim: int, start: ViewStart, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.adds_item_table = start == "feature+id"
        self.project = nn.Linear(feature_dim, embedding_dim)
        self.gate = nn.Linear(embedding_dim, embedding_dim) if start == "gate" else None

    def forward(self, features: Tensor, item_table: Tensor, graph: Relation) -> Tensor:
        return Hops.whole(graph, self.num_layers).travel(self.start(features, item_table))

    def start(self, features: Tensor, item_table: Tensor) -> Tensor:
        """:math:`q^m_0`, before it travels."""
        view = torch.cat([self.project(widened(rows)) for rows in features.split(ROWS)])
        if self.gate is not None:
            return item_table * torch.sigmoid(self.gate(view))
        return view + item_table if self.adds_item_table else view

    def over(self, table: FeatureTable, item_table: Tensor, hops: Hops, ids: Tensor | None = None) -> Tensor:
        """The view over `hops` of items that `ids` names, whose ID rows are `item_table`; None: all items."""
        if ids is None:
            return hops.travel(self.start(table.rows, item_table))
        if self.pooled is None:
            return hops.travel(self.start(table(hops.begin(ids)), hops.begin(item_table)))
        return self._from_pooled(self.pooled.index_select(0, hops.kept(ids)), item_table, hops)

    def pool(self, table: FeatureTable, graph: Relation, store: RowStore) -> None:
        r"""Make :math:`A_m^L [X, 1]` of frozen features once, what the neighbours' add up to: [I, D + 1].

        From then on `over` takes it for sampled hops. Nothing is made for a view that does not add the ID
        table or has no layers.
        """
        if not self.adds_item_table or self.num_layers == 0:
            return
        features = table.rows

        def blocks() -> Iterator[Tensor]:
            for columns in (*features.split(COLUMNS, dim=1), features.new_ones(len(features), 1)):
                pooled = widened(columns)
                for _ in range(self.num_layers):
                    pooled = graph(pooled)
                yield pooled

        shape = (len(features), features.shape[1] + 1)
        sources = features, *graph.csr()
        self.pooled = store.keep(f"pooled|{self.num_layers}", sources, shape, blocks, dim=1)

    def _from_pooled(self, pooled: Tensor, item_table: Tensor, hops: Hops) -> Tensor:
        r"""The view, where sampled hops are too few for the features of all neighbours:

        .. math:: A_m^L (X W^T + 1 b^T + E) = [A_m^L X, A_m^L 1] [W, b]^T + A_m^L E

        Only E travels over the sampled graph; `pooled` [v, D + 1] are the rows of `pool` where the hops end.
        """
        weight = torch.cat([self.project.weight, self.project.bias.unsqueeze(1)], dim=1)
        return hops.travel(item_table) + functional.linear(widened(pooled), weight)
