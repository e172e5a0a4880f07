"""cEASE^R: Jeunen, Van Balen and Goethals, "Closed-Form Models for Collaborative Filtering with
Side-Information", RecSys 2020."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender, item_features, modality_shares
from anchorrec_graph.nn.item_weights import (
    add_features,
    common_users,
    purchase_rows,
    user_rows,
    zero_diagonal_regression,
)
from anchorrec_graph.typing import Batch, Embeddings, View


class EASEFeaturesConfig(ModelConfig):
    """The defaults are the best of a small grid on the validation pairs of Amazon Office, with text."""

    name: Literal["ease_features"] = "ease_features"
    regularization: PositiveFloat = 200.0
    feature_weight: NonNegativeFloat = 10.0  # of all modalities together; 0: EASE^R
    modalities: dict[str, NonNegativeFloat] | None = None  # each one's share of it; None: equal, sum 1


@MODELS.register(EASEFeaturesConfig)
class EASEFeatures(Recommender):
    r"""EASE^R in which items also predict each other's features: s(u, i) = (X B)_ui.

    .. math::
        \min_B \|X - X B\|_F^2 + w \sum_m \beta_m \|F_m^T - F_m^T B\|_F^2 + \lambda \|B\|_F^2
        \;\text{ s.t. } \mathrm{diag}(B) = 0

    with the training matrix X [U, I] and the features F_m [I, D_m] of modality m in unit rows: EASE^R on X
    with a weighted row appended for every feature, so its Gram matrix is
    :math:`X^T X + w \sum_m \beta_m F_m F_m^T`. The paper's side information are binary tags; here it is
    any modalities, from one on. An item without interactions is still predicted. Nothing is learned
    by gradient.

    A user's embedding is the row of X, an item's the column of B, which has no parts by modality. Memory
    is O(U I + I^2), time O(I^3).

    Raises:
        ConfigError: the data has no modality or too many items (`user_rows`), or `modalities` names
            one that the data does not have, or gives none a share.
    """

    user: Tensor
    item: Tensor

    def __init__(self, config: EASEFeaturesConfig, data: HeteroData) -> None:
        super().__init__()
        self.register_buffer("user", user_rows(data, config.name), persistent=False)
        features = item_features(data, config.name)
        shares = modality_shares("modalities", config.modalities, features)
        scaled = {modality: config.feature_weight * share for modality, share in shares.items()}
        gram = add_features(common_users(self.user), features, scaled)
        weights = zero_diagonal_regression(gram, config.regularization, "model.regularization")
        self.register_buffer("item", weights.float().T.contiguous(), persistent=False)

    def encode(self) -> Embeddings:
        return Embeddings(self.user, self.item, {"item_weights": View(self.user, self.item)})

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        return {"item_weights": purchase_rows(items, self.user.shape[1])}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        return {}
