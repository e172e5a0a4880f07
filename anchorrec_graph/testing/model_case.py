"""A model and a fixed batch, which the rules of models look at."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.sampler import NegativeSampler
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.models.base import ModelConfig, Recommender, build_model
from anchorrec_graph.typing import Batch, Embeddings

BATCH_SIZE = 48


class ModelCase(NamedTuple):
    """A model's settings, data to build it on, and a fixed batch of it."""

    config: ModelConfig
    data: HeteroData
    batch: Batch

    def build(self, data: HeteroData | None = None, seed: int = 0) -> Recommender:
        """A model in training mode, at the start of an epoch, that owns a copy of the data."""
        torch.manual_seed(seed)
        model = build_model(self.config, copy.deepcopy(self.data if data is None else data)).train()
        model.start_epoch(torch.Generator().manual_seed(seed))
        return model

    def loss(self, model: Recommender) -> Tensor:
        """The sum of the loss terms, always with the same draws."""
        torch.manual_seed(0)
        terms = model.loss_terms(self.batch).values()
        return torch.stack([term.double() for term in terms]).sum() if terms else torch.zeros(())


def model_case(config: ModelConfig, data: HeteroData) -> ModelCase:
    return ModelCase(config, data, batch_of(data))


def batch_of(data: HeteroData) -> Batch:
    edge_index, num_users, num_items = train_graph(data)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(edge_index.shape[1], (BATCH_SIZE,), generator=generator)
    users, positives = edge_index[:, chosen]
    return Batch(users, positives, NegativeSampler(edge_index, num_users, num_items).sample(users, generator))


def embeddings_of(model: Recommender) -> Embeddings:
    """`encode` as evaluation calls it; the model goes back to training mode."""
    model.eval()
    with torch.no_grad():
        embeddings = model.encode()
    model.train()
    return embeddings
