"""`Recommender`: the extension point for models."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.registry import Registry
from anchorrec_graph.settings import Settings
from anchorrec_graph.typing import Batch, Embeddings, View


class ModelConfig(Settings):
    """Settings of a model. Subclasses give `name` a literal default and register it."""

    name: str
    embedding_dim: PositiveInt = 64


class Recommender(nn.Module, ABC):
    """A model is built as `cls(config, data)` and turned into embeddings by `encode`.

    `data` is the container of `DatasetConfig.load`; a model reads its training
    edges and features, never its held-out edges.
    """

    @abstractmethod
    def encode(self) -> Embeddings:
        """Final embeddings in evaluation, and the views that they are the sum of."""

    @abstractmethod
    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars, weights applied. Training minimises their sum and logs each.

        A model that learns nothing by gradient returns an empty dict and has no parameters.
        """

    def start_epoch(self, generator: torch.Generator) -> None:
        """Called before each training epoch, for models that draw something new for it."""


MODELS: Registry[type[Recommender]] = Registry("model")


def build_model(config: ModelConfig, data: HeteroData) -> Recommender:
    """The registered model that `config` names, on this data."""
    return MODELS[config.name](config, data)


def xavier_table(num_rows: int, embedding_dim: int) -> nn.Embedding:
    """An embedding table [num_rows, embedding_dim] with xavier-uniform entries."""
    table = nn.Embedding(num_rows, embedding_dim)
    nn.init.xavier_uniform_(table.weight)
    return table


def to_cosine(embeddings: Embeddings) -> Embeddings:
    r"""Scale rows so that <user, item> is the cosine: :math:`F / \|F\|`, the views by the same factor.

    The views still sum to the final embeddings, so the score still decomposes exactly.
    """
    tiny = torch.finfo(embeddings.item.dtype).tiny
    by_user = 1 / embeddings.user.norm(dim=1, keepdim=True).clamp(min=tiny)
    by_item = 1 / embeddings.item.norm(dim=1, keepdim=True).clamp(min=tiny)
    views = {
        name: View(None if view.user is None else view.user * by_user, view.item * by_item)
        for name, view in embeddings.views.items()
    }
    return Embeddings(embeddings.user * by_user, embeddings.item * by_item, views)
