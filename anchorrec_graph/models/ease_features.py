"""cEASE^R: Jeunen, Van Balen and Goethals, "Closed-Form Models for Collaborative Filtering with
Side-Information", RecSys 2020."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import MODELS, ModelConfig, item_features, modality_shares
from anchorrec_graph.models.item_based import ItemBasedRecommender
from anchorrec_graph.nn.item_weights import add_features, common_users, zero_diagonal_regression


class EASEFeaturesConfig(ModelConfig):
    """The defaults are the best of a small grid on the validation pairs of Amazon Office, with text."""

    name: Literal["ease_features"] = "ease_features"
    regularization: PositiveFloat = 200.0
    feature_weight: NonNegativeFloat = 10.0  # of all modalities together; 0: EASE^R
    modalities: dict[str, NonNegativeFloat] | None = None  # each one's share of it; None: equal, sum 1


@MODELS.register(EASEFeaturesConfig)
class EASEFeatures(ItemBasedRecommender[EASEFeaturesConfig]):
    r"""EASE^R in which items also predict each other's features: s(u, i) = (X B)_ui.

    .. math::
        \min_B \|X - X B\|_F^2 + w \sum_m \beta_m \|F_m^T - F_m^T B\|_F^2 + \lambda \|B\|_F^2
        \;\text{ s.t. } \mathrm{diag}(B) = 0

    with the training matrix X [U, I] and the features F_m [I, D_m] of modality m in unit rows: EASE^R on X
    with a weighted row appended for every feature, so its Gram matrix is
    :math:`X^T X + w \sum_m \beta_m F_m F_m^T`. The paper's side information are binary tags; here it is
    any modalities, from one on. An item without interactions is still predicted. Nothing is learned
    by gradient.

    A user's embedding is the row of X, an item's the column of B, which has no parts by modality. Time is
    O(I^3).

    Raises:
        ConfigError: the data has no modality, or `modalities` names one that the data does not have, or
            gives none a share.
    """

    def weights(self, config: EASEFeaturesConfig, data: HeteroData) -> Tensor:
        features = item_features(data, config.name)
        shares = modality_shares("modalities", config.modalities, features)
        scaled = {modality: config.feature_weight * share for modality, share in shares.items()}
        gram = add_features(common_users(self.user), features, scaled)
        return zero_diagonal_regression(gram, config.regularization, "model.regularization").float().T
