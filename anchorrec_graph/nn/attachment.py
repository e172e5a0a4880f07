"""`Attachment`: items that nobody bought, placed among the others by their features alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.encoders.fused import Fusion
from anchorrec_graph.errors import DataError
from anchorrec_graph.graph.knn import KnnConfig, cached_knn_edges, unit_rows
from anchorrec_graph.graph.normalize import inverse_sqrt
from anchorrec_graph.nn.feature_ridge import FeatureRidge
from anchorrec_graph.settings import unknown_name
from anchorrec_graph.typing import in_columns


class Neighbourhood(NamedTuple):
    """A modality's item graph as a new item meets it."""

    unit: Tensor  # [I, D] the features that it was built from, in unit rows; zero for an item without
    sent: Tensor  # [I, d] what an item sends over an edge of weight w, less w and the receiver's degree

    @classmethod
    def of(cls, features: Tensor, knn: KnnConfig, last: Tensor) -> Neighbourhood:
        """Of the graph that `knn` builds from features [I, D], over which rows `last` [I, d] travel."""
        edges = cached_knn_edges(features, knn)
        degree = torch.zeros(len(features)).index_add(0, edges.edge_index[0], edges.edge_weight)
        return cls(unit_rows(features)[0], inverse_sqrt(degree).unsqueeze(1) * last)


class Attachment(NamedTuple):
    r"""The rows of an item without interactions, view by view, from its features x^m:

    .. math::
        q^m = d^{-1/2} \sum_{j \in N_m} w_{mj} s^m_j, \quad d = \sum_{j \in N_m} w_{mj} \\
        C = \sum_m \sum_{j \in N_m} w_{mj} C_j \Big/ \sum_m \sum_{j \in N_m} w_{mj}

    with N_m its nearest items in modality m. q^m is what the propagation gives to a node that joins the
    item graph, the others as they are. Behaviour is borrowed: C is the mean of its neighbours' id rows. If
    `unit`, these learned views are scaled together to length 1. The other views, history and popularity, are
    the regression of the old items' rows on their features (`fit_feature_ridge`). To the history row the
    neighbours in the native modalities add a mean like C, of the rows that say who bought them
    (`History.bought`), as much as makes the training pairs likeliest (`likeliest_weight`). Popularity also
    holds the level (`level_of_new_items`), so that new items are shown about as often as old ones. A modality
    that a new item lacks says nothing.
    """

    knn: KnnConfig
    graphs: Mapping[str, Neighbourhood]  # of the modalities in the score, the fused one included
    id_view: str
    lent: Mapping[str, Tensor]  # [I, r] by view: rows whose neighbours' mean is taken; the id view's are C
    fused: str | None  # the graph whose features are made from the others
    fusion: Mapping[str, Fusion]  # how: by native modality, in the order of the columns
    regressed: Mapping[str, FeatureRidge]  # by view, of the native modalities
    start: Mapping[str, int]  # first column of every view in the final embeddings
    dim: int  # columns of the final embeddings
    unit: bool

    def rows(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows of n new items in the final columns, [n, dim] by view, from features [n, D_m].

        Raises:
            DataError: no feature is given, or one of another name or width, or of another number of rows.
        """
        self._check(features)
        rows, borrowed = self.joined(features)
        rows |= {name: ridge.rows(features) for name, ridge in self.regressed.items()}
        rows |= {name: rows[name] + mean for name, mean in borrowed.items()}
        return {name: in_columns(rows[name], start, self.dim) for name, start in self.start.items()}

    def joined(
        self, features: Mapping[str, Tensor], own: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The rows of the learned views, [n, d] each, and what neighbours lend to the others, [n, r] each.

        Args:
            own: [n] for items of the graphs placed as if they were new: which they are. None is its own
                neighbour; what it sent to the others before stays with them.
        """
        native = dict(features)
        if self.fused is not None:
            native[self.fused] = torch.cat([self._fused_part(m, features) for m in self.fusion], dim=1)
        count, graphs = len(next(iter(features.values()))), self.graphs.items()
        near = {name: self._nearest(native[name], graph, own) for name, graph in graphs if name in native}
        learned = {name: torch.zeros(count, graph.sent.shape[1]) for name, graph in graphs}
        for name, (weight, neighbour) in near.items():
            degree = weight.sum(1, keepdim=True)
            learned[name] = inverse_sqrt(degree) * _weighted(weight, self.graphs[name].sent, neighbour)
        every = _together(near.values(), count)
        learned[self.id_view] = _mean(*every, self.lent[self.id_view])
        natives = _together((found for name, found in near.items() if name != self.fused), count)
        borrowed = {view: _mean(*natives, rows) for view, rows in self.lent.items() if view != self.id_view}
        if self.unit:
            length = sum(learned.values(), torch.zeros(())).norm(dim=1, keepdim=True)
            learned = {m: y / length.clamp(min=torch.finfo(y.dtype).tiny) for m, y in learned.items()}
        return learned, borrowed

    def _check(self, features: Mapping[str, Tensor]) -> None:
        known = {m: graph.unit.shape[1] for m, graph in self.graphs.items() if m != self.fused}
        known |= {m: x.shape[0] for ridge in self.regressed.values() for m, x in ridge.maps.items()}
        if not features:
            raise DataError(f"a new item needs a feature: {' or '.join(known)}")
        count = {len(x) for x in features.values()}
        for name, x in features.items():
            if name not in known:
                raise DataError(unknown_name("modality", name, list(known)))
            if x.ndim != 2 or x.shape[1] != known[name]:
                raise DataError(
                    f"new '{name}' features have shape {list(x.shape)}; [items, {known[name]}] is needed, "
                    "made by the encoder that made those of the data set"
                )
            if not torch.isfinite(x).all():
                raise DataError(f"new '{name}' features hold a value that is not finite")
        if len(count) > 1:
            raise DataError(f"the new items' features differ in number: {sorted(count)}")

    def _fused_part(self, modality: str, features: Mapping[str, Tensor]) -> Tensor:
        part = self.fusion[modality]
        if modality in features:
            return part.rows(features[modality])
        return torch.zeros(len(next(iter(features.values()))), len(part.mean))

    def _nearest(self, x: Tensor, graph: Neighbourhood, own: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weights, 0 where there is no neighbour, and neighbours: [n, k] each."""
        unit, valid = unit_rows(x)
        cosine = unit @ graph.unit.T
        if own is not None:
            cosine[torch.arange(len(own)), own] = -torch.inf
        cosine, neighbour = cosine.topk(min(self.knn.k, len(graph.unit)), dim=1)
        none = ~(valid.unsqueeze(1) & (graph.unit[neighbour] != 0).any(2))
        none |= (cosine <= 0) & self.knn.drop_negative | (cosine == -torch.inf)
        weight = cosine if self.knn.weight == "cosine" else torch.ones_like(cosine)
        return weight.masked_fill(none, 0.0), neighbour


def _together(found: Iterable[tuple[Tensor, Tensor]], count: int) -> tuple[Tensor, Tensor]:
    """Weights and neighbours of several graphs side by side: [count, k] each."""
    weights, neighbours = [torch.zeros(count, 0)], [torch.zeros(count, 0, dtype=torch.long)]
    for weight, neighbour in found:
        weights.append(weight)
        neighbours.append(neighbour)
    return torch.cat(weights, dim=1), torch.cat(neighbours, dim=1)


def _mean(weight: Tensor, neighbour: Tensor, rows: Tensor) -> Tensor:
    """The neighbours' weighted mean row; 0 without a neighbour."""
    total = weight.sum(1, keepdim=True)
    return _weighted(weight, rows, neighbour) / total.clamp(min=torch.finfo(total.dtype).tiny)


def _weighted(weight: Tensor, rows: Tensor, neighbour: Tensor) -> Tensor:
    """sum_j w_ij rows_j: [n, k], [I, d], [n, k] -> [n, d]."""
    return (weight.unsqueeze(2) * rows[neighbour]).sum(1)
