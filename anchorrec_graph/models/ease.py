"""EASE^R: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender
from anchorrec_graph.nn.item_weights import common_users, purchase_rows, user_rows, zero_diagonal_regression
from anchorrec_graph.typing import Batch, Embeddings, View


class EASEConfig(ModelConfig):
    """The default is the best of a small grid on the validation pairs of Amazon Office."""

    name: Literal["ease"] = "ease"
    regularization: PositiveFloat = 200.0


@MODELS.register(EASEConfig)
class EASE(Recommender):
    r"""Every item is predicted from a user's others by ridge regression: s(u, i) = (X B)_ui.

    .. math:: \min_B \|X - X B\|_F^2 + \lambda \|B\|_F^2 \;\text{ s.t. } \mathrm{diag}(B) = 0

    with the training matrix X [U, I], in closed form (`zero_diagonal_regression`, float64), nothing by
    gradient. A user's embedding is the row of X, an item's the column of B. Memory is O(U I + I^2),
    time O(I^3).

    Raises:
        ConfigError: there are too many items for that (`user_rows`).
    """

    user: Tensor
    item: Tensor

    def __init__(self, config: EASEConfig, data: HeteroData) -> None:
        super().__init__()
        self.register_buffer("user", user_rows(data, config.name), persistent=False)
        weights = zero_diagonal_regression(
            common_users(self.user), config.regularization, "model.regularization"
        )
        self.register_buffer("item", weights.float().T.contiguous(), persistent=False)

    def encode(self) -> Embeddings:
        return Embeddings(self.user, self.item, {"item_weights": View(self.user, self.item)})

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        return {"item_weights": purchase_rows(items, self.user.shape[1])}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        return {}
