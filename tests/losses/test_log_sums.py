from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses import log_sums
from anchorrec_graph.losses.log_sums import weighted_log_sums

WEIGHT = torch.tensor([2, 1, 3, 1, 5, 0, 4])


@pytest.fixture(params=[1, 3, 7, 128], autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sums, "BLOCK", request.param)


def tables(scale: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = (scale * torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (7, 5))
    return tuple(table.requires_grad_() for table in drawn)


def biases() -> list[Tensor | None]:
    return [None, torch.tensor([0.0, -2.0, 1.0, 0.5, 3.0], dtype=torch.float64)]


@pytest.mark.parametrize("bias", biases(), ids=["no bias", "bias"])
def test_value_equals_the_loop(bias: Tensor | None) -> None:
    query, key = (table.detach() for table in tables())
    added = torch.zeros(5) if bias is None else bias
    expected = sum(
        int(w) * math.log(sum(math.exp(float(q @ k) + float(b)) for k, b in zip(key, added, strict=True)))
        for q, w in zip(query, WEIGHT, strict=True)
    )
    assert float(weighted_log_sums(query, key, WEIGHT, bias)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("bias", biases(), ids=["no bias", "bias"])
@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_gradients_equal_those_of_the_plain_formula(bias: Tensor | None, scale: float) -> None:
    query, key = tables()
    logits = query @ key.T + (0 if bias is None else bias)
    plain = torch.autograd.grad(scale * (WEIGHT * logits.logsumexp(1)).sum(), (query, key))
    found = torch.autograd.grad(scale * weighted_log_sums(query, key, WEIGHT, bias), (query, key))
    torch.testing.assert_close(found, plain)


def test_large_products_stay_finite() -> None:
    query, key = (table.detach().float().requires_grad_() for table in tables(300.0))
    value = weighted_log_sums(query, key, WEIGHT)
    for tensor in (value, *torch.autograd.grad(value, (query, key))):
        assert bool(torch.isfinite(tensor).all())


def test_a_bias_of_another_type_is_read_and_one_with_a_gradient_is_refused() -> None:
    (query, key), bias = tables(), torch.tensor([0.0, -2.0, 1.0, 0.5, 3.0])
    found = weighted_log_sums(query, key, WEIGHT, bias)
    torch.testing.assert_close(found, weighted_log_sums(query, key, WEIGHT, bias.double()))
    with pytest.raises(ValueError, match="no gradient for its weight and its bias"):
        weighted_log_sums(query, key, WEIGHT, bias.requires_grad_())


def test_one_side_may_be_constant() -> None:
    query, key = tables()
    both = torch.autograd.grad(weighted_log_sums(query, key, WEIGHT), (query, key))
    (of_key,) = torch.autograd.grad(weighted_log_sums(query.detach(), key, WEIGHT), key)
    (of_query,) = torch.autograd.grad(weighted_log_sums(query, key.detach(), WEIGHT), query)
    assert torch.equal(of_query, both[0])
    assert torch.equal(of_key, both[1])
