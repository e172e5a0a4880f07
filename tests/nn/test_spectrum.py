from __future__ import annotations

import cmath

import pytest
import torch
from torch import Tensor

from anchorrec_graph.nn.spectrum import SpectralFilter

DIMS = [1, 2, 5, 8]


def built(dim: int) -> tuple[SpectralFilter, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows, others = torch.randn(2, 3, dim, generator=generator, dtype=torch.float64)
    torch.manual_seed(0)
    return SpectralFilter(dim).double(), rows, others


def spectrum(row: list[float]) -> list[complex]:
    """All d frequencies by the sum that defines them."""
    d = len(row)
    return [
        sum(x * cmath.exp(-2j * cmath.pi * k * place / d) for place, x in enumerate(row)) / d**0.5
        for k in range(d)
    ]


def filtered(weight: list[complex], factors: list[list[complex]]) -> list[float]:
    """From a product of spectra; the upper frequencies have the conjugate weights of the lower ones."""
    d = len(factors[0])
    product = []
    for k in range(d):
        w = weight[k] if k < len(weight) else weight[d - k].conjugate()
        w = complex(w.real) if (d - k) % d == k else w
        for factor in factors:
            w *= factor[k]
        product.append(w)
    return [
        (sum(p * cmath.exp(2j * cmath.pi * k * n / d) for k, p in enumerate(product)) / d**0.5).real
        for n in range(d)
    ]


@pytest.mark.parametrize("dim", DIMS)
def test_equals_the_sums_that_define_it(dim: int) -> None:
    layer, rows, others = built(dim)
    weight = torch.view_as_complex(layer.weight.detach())[0].tolist()
    both = list(zip(rows.tolist(), others.tolist(), strict=True))
    first, second = (torch.fft.rfft(x, norm="ortho") for x in (rows, others))
    expected = torch.tensor([filtered(weight, [spectrum(a)]) for a, _ in both], dtype=torch.float64)
    torch.testing.assert_close(layer(first).detach(), expected)
    product = [filtered(weight, [spectrum(a), spectrum(b)]) for a, b in both]
    expected = torch.tensor(product, dtype=torch.float64)
    torch.testing.assert_close(layer(first * second).detach(), expected)


@pytest.mark.parametrize("dim", DIMS)
def test_weights_of_one_change_nothing_and_gradients_are_right(dim: int) -> None:
    layer, rows, _ = built(dim)
    rows.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, _: layer(torch.fft.rfft(x, norm="ortho")), (rows, layer.weight))
    with torch.no_grad():
        layer.weight[..., 0], layer.weight[..., 1] = 1, 0
    torch.testing.assert_close(layer(torch.fft.rfft(rows, norm="ortho")), rows)
