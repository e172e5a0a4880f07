"""`ItemBasedRecommender`: what models with a weight for every pair of items share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import ModelConfig, Recommender
from anchorrec_graph.nn.item_weights import purchase_rows, user_rows
from anchorrec_graph.typing import Batch, Embeddings, View

Config = TypeVar("Config", bound=ModelConfig)


class ItemBasedRecommender(Recommender, Generic[Config]):
    r"""Items score by their weights to the user's own: s(u, i) = (X W^T)_ui.

    A user's embedding is the row of the training matrix X [U, I], an item's its row of the weights W [I, I].
    Nothing is learned by gradient. Memory is O(U I + I^2).

    Raises:
        ConfigError: there are too many items for that (`user_rows`).
    """

    user: Tensor
    item: Tensor

    def __init__(self, config: Config, data: HeteroData) -> None:
        super().__init__()
        self.register_buffer("user", user_rows(data, config.name), persistent=False)
        self.register_buffer("item", self.weights(config, data).contiguous(), persistent=False)

    @abstractmethod
    def weights(self, config: Config, data: HeteroData) -> Tensor:
        """W [I, I] float32, zero on the diagonal; `self.user` is there to be read."""

    def encode(self) -> Embeddings:
        return Embeddings(self.user, self.item, {"item_weights": View(self.user, self.item)})

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        return {"item_weights": purchase_rows(items, self.user.shape[1])}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        return {}
