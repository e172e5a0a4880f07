"""Ranking losses: what makes a user's positive items score above the others."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.losses.log_sums import weighted_log_sums
from anchorrec_graph.registry import Registry
from anchorrec_graph.settings import Settings
from anchorrec_graph.typing import Batch


class RankingLossConfig(Settings, ABC):
    """Settings of a ranking loss, which are also the loss: it has no other state.

    `cosine` says that the loss scores items by direction only, so that a model
    must score them in the same way when it serves (`models.scoring.Scoring`); `every_item`
    that it reads the rows of all items, not only those of the batch.
    """

    name: str
    cosine: ClassVar[bool] = False
    every_item: ClassVar[bool] = False

    @abstractmethod
    def loss(
        self,
        user: Tensor,
        item: Tensor,
        batch: Batch,
        prior: Tensor | None = None,
        num_items: int | None = None,
    ) -> Tensor:
        """Final embeddings user [U, d] and item [I, d], and a batch of B triples -> scalar.

        `prior` [I] is added to every user's logits of the items. `num_items` is the size of the catalog where
        `item` holds part of it.
        """

    @property
    def logit_scale(self) -> float:
        """Logits per unit of score."""
        return 1.0


RANKING_LOSSES: Registry[type[RankingLossConfig]] = Registry("ranking loss")


def score_gap(user: Tensor, item: Tensor, batch: Batch, prior: Tensor | None) -> Tensor:
    """By how much each triple's positive item scores above its negative one: [U, d], [I, d] -> [B]."""
    users, positive, negative = batch
    gap = (user[users] * (item[positive] - item[negative])).sum(1)
    return gap if prior is None else gap + prior[positive] - prior[negative]


def bpr(user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    r"""BPR (Rendle et al., UAI 2009): :math:`-\frac1B \sum \log \sigma(\langle u, p - n \rangle)`.

    Shapes: user, positive, negative [B, d] -> scalar.
    """
    return _bpr_of_gap((user * (positive - negative)).sum(1))


def _bpr_of_gap(gap: Tensor) -> Tensor:
    return -functional.logsigmoid(gap).mean()


class BPRConfig(RankingLossConfig):
    """One sampled negative per positive; see `bpr`."""

    name: Literal["bpr"] = "bpr"

    def loss(
        self,
        user: Tensor,
        item: Tensor,
        batch: Batch,
        prior: Tensor | None = None,
        num_items: int | None = None,  # noqa: ARG002
    ) -> Tensor:
        return _bpr_of_gap(score_gap(user, item, batch, prior))


class SoftmaxConfig(RankingLossConfig):
    r"""Sampled softmax on cosines, with negatives shared by the batch (Wu et al., TOIS 2024):

    .. math::
        -\frac1B \sum_i \log \frac{e(p_i)}{e(p_i) + \frac{I}{|N|} \sum_{n \in N} e(n)},
        \quad e(j) = \exp(\cos(u_i, j)/\tau)

    The factor I / |N| makes the sum an estimate of that over all I items. N are
    the batch's first `num_negatives` sampled negatives; one of them may by chance be a
    positive of another user.
    """

    name: Literal["softmax"] = "softmax"
    cosine: ClassVar[bool] = True
    temperature: PositiveFloat = 0.2
    num_negatives: PositiveInt = 512

    @property
    def logit_scale(self) -> float:
        return 1 / self.temperature

    def loss(
        self,
        user: Tensor,
        item: Tensor,
        batch: Batch,
        prior: Tensor | None = None,
        num_items: int | None = None,
    ) -> Tensor:
        users = functional.normalize(user[batch.users], dim=1) / self.temperature
        positives = functional.normalize(item[batch.positive_items], dim=1)
        negatives = functional.normalize(item[batch.negative_items[: self.num_negatives]], dim=1)
        positive = (users * positives).sum(1)
        others = users @ negatives.T + math.log((num_items or len(item)) / len(negatives))
        if prior is not None:
            positive = positive + prior[batch.positive_items]
            others = others + prior[batch.negative_items[: self.num_negatives]]
        logits = torch.cat([positive.unsqueeze(1), others], dim=1)
        return (logits.logsumexp(1) - positive).mean()


class FullSoftmaxConfig(RankingLossConfig):
    """Softmax on cosines over all items: `SoftmaxConfig` with every item as a negative.

    Time is O(b I d) for the b distinct users of the batch, memory O((b + I) d). The prior is a constant;
    the loss can be differentiated once (`weighted_log_sums`).
    """

    name: Literal["full_softmax"] = "full_softmax"
    cosine: ClassVar[bool] = True
    every_item: ClassVar[bool] = True
    temperature: PositiveFloat = 0.2

    @property
    def logit_scale(self) -> float:
        return 1 / self.temperature

    def loss(
        self,
        user: Tensor,
        item: Tensor,
        batch: Batch,
        prior: Tensor | None = None,
        num_items: int | None = None,  # noqa: ARG002
    ) -> Tensor:
        rows, place, count = batch.users.unique(return_inverse=True, return_counts=True)
        users = functional.normalize(user[rows], dim=1) / self.temperature
        items = functional.normalize(item, dim=1)
        positive = (users[place] * items[batch.positive_items]).sum()
        if prior is not None:
            positive = positive + prior[batch.positive_items].sum()
        return (weighted_log_sums(users, items, count, prior) - positive) / len(place)


for _config in (BPRConfig, SoftmaxConfig, FullSoftmaxConfig):
    RANKING_LOSSES.register(_config)(_config)
