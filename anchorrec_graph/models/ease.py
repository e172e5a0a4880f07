"""EASE^R: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import MODELS, ModelConfig
from anchorrec_graph.models.item_based import ItemBasedRecommender
from anchorrec_graph.nn.item_weights import common_users, zero_diagonal_regression


class EASEConfig(ModelConfig):
    """The default is the best of a small grid on the validation pairs of Amazon Office."""

    name: Literal["ease"] = "ease"
    regularization: PositiveFloat = 200.0


@MODELS.register(EASEConfig)
class EASE(ItemBasedRecommender[EASEConfig]):
    r"""Every item is predicted from a user's others by ridge regression: s(u, i) = (X B)_ui.

    .. math:: \min_B \|X - X B\|_F^2 + \lambda \|B\|_F^2 \;\text{ s.t. } \mathrm{diag}(B) = 0

    with the training matrix X [U, I], in closed form (`zero_diagonal_regression`, float64), nothing by
    gradient. A user's embedding is the row of X, an item's the column of B. Time is O(I^3).
    """

    def weights(self, config: EASEConfig, data: HeteroData) -> Tensor:  # noqa: ARG002
        gram = common_users(self.user)
        return zero_diagonal_regression(gram, config.regularization, "model.regularization").float().T
