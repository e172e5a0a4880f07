"""`LinkSampler`: a batch of training pairs with negatives, and the neighbours that it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkLoader
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NegativeSampling,
    NodeSamplerInput,
)
from torch_geometric.typing import EdgeType

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.sampler import NegativeSampler
from anchorrec_graph.graph.graphs import SampledBatch, WholeGraphs
from anchorrec_graph.graph.hops import among, distinct, place_of
from anchorrec_graph.graph.subgraph import (
    ITEM,
    USER,
    Csr,
    Reach,
    draw_edges,
    incoming,
    sampled_batch,
    scaled,
)
from anchorrec_graph.typing import Batch

SEED_STEP = 0x9E3779B97F4A7C15  # odd, so that batches of an epoch never share a seed


class LinkSampler(BaseSampler):  # type: ignore[misc]
    """Draws each pair's negative item and, along the model's walks, the neighbours of the batch's nodes.

    A batch's draws depend on the epoch's seed and on its first pair only: any process draws them alike.

    Args:
        graphs: of the model, whole.
        reach: what the model reads of a batch (`SampledRecommender.prepare_sampling`).
        num_neighbors: edges drawn for each node in the first, second, ... hop of a walk; the last number also
            holds for later hops; -1: all of them.
        negatives: of the training pairs.
    """

    def __init__(
        self,
        graphs: WholeGraphs,
        reach: Reach,
        num_neighbors: Sequence[int],
        negatives: NegativeSampler,
    ) -> None:
        self.edges, self.reach, self.num_neighbors = incoming(graphs), reach, num_neighbors
        self.walks = reach.walks()
        num_items = graphs.user_item.size[0] - graphs.num_users
        self.num_nodes = {USER: graphs.num_users, ITEM: num_items}
        self.negatives, self.seed = negatives, 0

    def sample_from_nodes(self, index: NodeSamplerInput) -> HeteroSamplerOutput:
        """Not offered: a batch of training is one of pairs."""
        raise NotImplementedError("LinkSampler samples for pairs; give it to LinkLoader, not to NodeLoader")

    def sample_from_edges(
        self,
        index: EdgeSamplerInput,
        neg_sampling: NegativeSampling | None = None,  # noqa: ARG002
    ) -> HeteroSamplerOutput:
        """The neighbourhood of pairs `index`; `LinkLoader` calls it with one negative for each."""
        seed = (self.seed + SEED_STEP * int(index.input_id[0])) % 2**63
        generator = torch.Generator().manual_seed(seed)
        users, positives = index.row, index.col
        batch = users, positives, self.negatives.sample(users, generator)
        starts = {USER: self._distinct(USER, users), ITEM: self._distinct(ITEM, *batch[1:])}
        drawn = {kind: _Drawn(csr, self.num_nodes[kind[2]]) for kind, csr in self.edges.items()}
        frontiers = [starts[walk.start] for walk in self.walks]
        for hop in range(max(len(walk.steps) for walk in self.walks)):  # a node draws for its nearest hop
            count = self.num_neighbors[min(hop, len(self.num_neighbors) - 1)]
            for place, walk in enumerate(self.walks):
                if hop < len(walk.steps):
                    kind = walk.steps[hop]
                    sources = drawn[kind].sources(frontiers[place], count, generator)
                    frontiers[place] = self._distinct(kind[0], sources)
        return self._output(index.input_id, batch, drawn)

    def _distinct(self, kind: str, *ids: Tensor) -> Tensor:
        return distinct(torch.cat(ids), self.num_nodes[kind])

    def _output(
        self, input_id: Tensor, batch: tuple[Tensor, ...], drawn: Mapping[EdgeType, _Drawn]
    ) -> HeteroSamplerOutput:
        users, positives, negatives = batch
        reached: dict[str, list[Tensor]] = {USER: [users], ITEM: [positives, negatives]}
        sources = {kind: edges.csr.column.index_select(0, edges.edge) for kind, edges in drawn.items()}
        for kind, edges in drawn.items():
            reached[kind[0]].append(sources[kind])
            reached[kind[2]].append(edges.destination)
        node = {kind: self._distinct(kind, *ids) for kind, ids in reached.items()}
        local = {kind: place_of(ids, self.num_nodes[kind]) for kind, ids in node.items()}
        return HeteroSamplerOutput(
            node=node,
            row={kind: local[kind[0]].index_select(0, source) for kind, source in sources.items()},
            col={kind: local[kind[2]].index_select(0, edges.destination) for kind, edges in drawn.items()},
            edge={kind: edges.edge for kind, edges in drawn.items()},
            metadata=(input_id, local[USER][users], local[ITEM][positives], local[ITEM][negatives], None),
        )

    def batches(self, edge_index: Tensor, rows: Sequence[Tensor], seed: int) -> Iterator[SampledBatch]:
        """The batches of training pairs `edge_index` [2, E] whose numbers stand in `rows`.

        Args:
            seed: of the epoch.
        """
        self.seed = seed
        schema = HeteroData()  # of nodes and edge types only: the edges are here
        for kind, size in self.num_nodes.items():
            schema[kind].num_nodes = size
        for edge_type in self.edges:
            schema[edge_type].edge_index = torch.empty(2, 0, dtype=torch.long)
        pairs = (INTERACTS, edge_index)
        yield from LinkLoader(
            schema,
            self,
            pairs,
            neg_sampling="triplet",
            input_id=torch.arange(edge_index.shape[1]),
            batch_sampler=rows,
            transform=self._sampled_batch,
            generator=torch.Generator(),  # else every loader draws from PyTorch's own, also one that goes on
        )

    def _sampled_batch(self, data: HeteroData) -> SampledBatch:
        drawn = {}
        for kind, csr in self.edges.items():
            column, row = data[kind].edge_index
            drawn[kind] = scaled(csr, data[kind].e_id, row, column, data[kind[2]].n_id)
        ids = data[USER].n_id, data[ITEM].n_id
        batch = Batch(data[USER].src_index, data[ITEM].dst_pos_index, data[ITEM].dst_neg_index)
        return sampled_batch(self.reach, drawn, *ids, batch)


class _Drawn:
    """The edges of one type that a batch has drawn so far."""

    def __init__(self, csr: Csr, num_rows: int) -> None:
        self.csr, self.asked = csr, torch.zeros(num_rows, dtype=torch.bool)
        self.destination = self.edge = torch.empty(0, dtype=torch.long)

    def sources(self, rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """The nodes at the other end of the edges of `rows`, drawn now where they were not before."""
        new = rows[~self.asked.index_select(0, rows)]
        self.asked[new] = True
        place, edge = draw_edges(self.csr, new, count, generator)
        self.destination = torch.cat([self.destination, new.index_select(0, place)])
        self.edge = torch.cat([self.edge, edge])
        wanted = among(rows, len(self.asked)).index_select(0, self.destination)
        return self.csr.column.index_select(0, self.edge[wanted])
