"""Item rows predicted from features: a ridge regression that chooses its strength by leaving items out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.knn import unit_rows

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # an item's features, all given, have length 1


class FeatureRidge(NamedTuple):
    r"""Rows :math:`c + \sum_m \hat x^m W_m` of items with unit features :math:`\hat x^m`."""

    center: Tensor  # [r] c
    maps: Mapping[str, Tensor]  # [D_m, r] W_m by modality

    def rows(self, features: Mapping[str, Tensor]) -> Tensor:
        """[n, r] from features [n, D_m]; a modality that is missing, or a zero row of it, says nothing."""
        return self.center + torch.stack([unit_rows(x)[0] @ self.maps[m] for m, x in features.items()]).sum(0)


class RidgeFit(NamedTuple):
    """A regression, and what it makes of the items that it was fitted on."""

    ridge: FeatureRidge
    left_out: Tensor  # [I, r] each item's row by the regression without it
    strength: float  # mu


def fit_feature_ridge(features: Mapping[str, Tensor], rows: Tensor) -> RidgeFit:
    r"""Predict item rows Y from the unit features of M modalities:

    .. math::
        \Phi = M^{-1/2} [\hat X^1, \dots, \hat X^M], \quad
        W = \Phi^T (\Phi \Phi^T + \mu I)^{-1} (Y - 1 c^T) \\
        y_{-j} = y_j - \frac{y_j - \hat y_j}{1 - h_{jj}}, \quad
        h = \mathrm{diag}\, \Phi \Phi^T (\Phi \Phi^T + \mu I)^{-1}

    c is the mean of Y and y_{-j} what the regression without item j, with the same c, says of j: no second
    fit is needed. mu is the one of `STRENGTHS` whose y_{-j} are nearest to Y in squares. Takes
    O(I D min(I, D)) time, D columns in all, and is kept on disk like item graphs.

    Args:
        features: [I, D_m] by modality.
        rows: Y [I, r].
    """
    width = [x.shape[1] for x in features.values()]

    def build() -> dict[str, Tensor]:
        unit = torch.cat([unit_rows(x)[0].double() for x in features.values()], dim=1)
        u, s, v = torch.linalg.svd(unit / len(features) ** 0.5, full_matrices=False)
        center = rows.double().mean(0)
        wanted = rows.double() - center
        seen = u.T @ wanted
        best: dict[str, Tensor] = {}
        least = torch.inf
        for strength in STRENGTHS:
            kept = s.square() / (s.square() + strength)
            leverage = u.square() @ kept
            residual = (wanted - (u * kept) @ seen) / (1 - leverage).unsqueeze(1)
            error = float(residual.square().sum())
            if error < least:
                least = error
                maps = v.T @ ((s / (s.square() + strength)).unsqueeze(1) * seen) / len(features) ** 0.5
                best = {
                    "center": center.float(),
                    "maps": maps.float(),
                    "left_out": (rows.double() - residual).float(),
                    "strength": torch.tensor(strength),
                }
        return best

    fit = cached_tensors("feature-ridge", str(STRENGTHS), [rows, *features.values()], build)
    maps = dict(zip(features, fit["maps"].split(width), strict=True))
    return RidgeFit(FeatureRidge(fit["center"], maps), fit["left_out"], float(fit["strength"]))
