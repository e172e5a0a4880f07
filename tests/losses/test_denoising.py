from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.denoising import denoised_bpr, feedback_weights
from anchorrec_graph.losses.ranking import bpr


def scores(num_views: int = 3) -> tuple[Tensor, Tensor]:
    return tuple(
        torch.randn(2, num_views, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("num_views", [2, 3, 5])
def test_weights_equal_the_loop(num_views: int) -> None:
    positive, negative = scores(num_views)
    threshold = statistics.fmean(sigmoid(x) for x in negative.flatten().tolist())
    trusted, doubted = [], []
    for column in positive.T.tolist():
        a = [sigmoid(x) for x in column]
        mean = statistics.fmean(a)
        trusted.append(mean * math.exp(-statistics.variance(a)) ** 2)
        doubted.append(max(max(a) - threshold, 0) if mean < threshold else 0)
    found = feedback_weights(positive, negative)
    assert found[0].tolist() == pytest.approx(trusted, rel=1e-12)
    assert found[1].tolist() == pytest.approx(doubted, rel=1e-12)
    assert 0 < sum(x > 0 for x in doubted) < 40


def test_views_that_agree_make_a_positive_count_more() -> None:
    agree, differ = torch.full((3, 1), 0.0), torch.tensor([[-2.0], [0.0], [2.0]])
    weight = [float(feedback_weights(x, torch.zeros(3, 1))[0]) for x in (agree, differ)]
    assert weight[0] == 0.5
    assert weight[1] < 0.4


def test_weights_are_constants() -> None:
    positive, negative = (x.requires_grad_() for x in scores())
    assert not any(weight.requires_grad for weight in feedback_weights(positive, negative))


def test_weighted_loss_is_a_mixture_of_bpr_and_its_swap() -> None:
    user, positive, negative = torch.randn(
        3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    gap = (user * (positive - negative)).sum(1)
    one, zero = torch.ones(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    plain, swapped = bpr(user, positive, negative), bpr(user, negative, positive)
    torch.testing.assert_close(denoised_bpr(gap, (one, zero)), plain)
    torch.testing.assert_close(denoised_bpr(gap, (zero, one)), swapped)
    first = torch.arange(6) < 2
    parts = bpr(user[:2], positive[:2], negative[:2]), bpr(user[2:], negative[2:], positive[2:])
    found = denoised_bpr(gap, (first * 0.5, ~first * 0.25))
    torch.testing.assert_close(found, (2 * 0.5 * parts[0] + 4 * 0.25 * parts[1]) / 6)


def test_gradcheck() -> None:
    gap = torch.randn(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.linspace(0, 1, 5, dtype=torch.float64), torch.linspace(1, 0, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: denoised_bpr(x, weights), (gap.requires_grad_(),))
