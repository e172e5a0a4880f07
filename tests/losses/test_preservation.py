from __future__ import annotations

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.losses.preservation import similarity_gap, squared_gram_norm

WIDTHS = [(3, 5), (3, 20), (12, 4)]  # of embedding and features, for about 8 rows


def rows(num_rows: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(num_rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def nearly_preserving(num_rows: int, gap: float) -> tuple[Tensor, Tensor]:
    """Float32 features and an embedding whose similarities differ from theirs by about `gap`."""
    features = rows(num_rows, 8).float()
    noise = rows(num_rows, 8, seed=1).float()
    return functional.normalize(features, dim=1) + gap * noise / 8**0.5, features


def exact_gap(embedding: Tensor, features: Tensor) -> Tensor:
    """Float64, through both B x B matrices."""
    embedding, unit = embedding.double(), functional.normalize(features.double(), dim=1)
    return (embedding @ embedding.T - unit @ unit.T).norm() / len(embedding)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=9), st.sampled_from(WIDTHS), st.integers(0, 9))
def test_distinct_rows_with_counts_equal_the_full_batch(
    count: list[int], widths: tuple[int, int], seed: int
) -> None:
    embedding, features = (rows(len(count), width, seed) for width in widths)
    full = [i for i, times in enumerate(count) for _ in range(times)]
    expected = naive.similarity_gap(embedding[full].numpy(), features[full].numpy())
    found = similarity_gap(embedding, features, torch.tensor(count))
    assert float(found) == pytest.approx(expected, rel=1e-9)
    single = similarity_gap(embedding.float(), features.float(), torch.tensor(count))
    assert float(single) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("widths", WIDTHS)
def test_gradcheck(widths: tuple[int, int]) -> None:
    embedding, features = (rows(8, width) for width in widths)
    count = torch.tensor([1, 2, 1, 1, 3, 1, 1, 1])
    gap = torch.autograd.gradcheck(lambda q: similarity_gap(q, features, count), embedding.requires_grad_())
    assert gap


@pytest.mark.parametrize("num_rows", [6, 40, 400])
@pytest.mark.parametrize("gap", [0.3, 0.1, 0.04, 0.03, 0.02, 1e-2, 1e-3, 1e-4])
def test_nearly_equal_similarities_keep_their_digits(num_rows: int, gap: float) -> None:
    embedding, features = nearly_preserving(num_rows, gap)
    embedding = embedding.requires_grad_()
    found = similarity_gap(embedding, features, torch.ones(num_rows))
    (gradient,) = torch.autograd.grad(found, embedding)
    exact = exact_gap(embedding, features)
    (exact_gradient,) = torch.autograd.grad(exact, embedding)
    error = (gradient - exact_gradient).norm() / exact_gradient.norm()
    assert float(found.detach()) == pytest.approx(float(exact.detach()), rel=1e-3)
    assert float(error) < 5e-3


def test_equal_similarities_have_no_gap_and_a_finite_gradient() -> None:
    unit = functional.normalize(rows(6, 4), dim=1).float()
    embedding = unit.clone().requires_grad_()
    found = similarity_gap(embedding, unit, torch.ones(6))
    found.backward()
    assert float(found.detach()) < 1e-6
    assert bool(torch.isfinite(embedding.grad).all())


def test_a_zero_row_is_similar_to_nothing() -> None:
    embedding, features = rows(5, 3), rows(5, 6)
    features[2] = 0
    expected = naive.similarity_gap(embedding.numpy(), features.numpy())
    embedding = embedding.requires_grad_()
    found = similarity_gap(embedding, features, torch.ones(5))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-9)
    found.backward()
    assert bool(torch.isfinite(embedding.grad).all())


def test_features_get_no_gradient() -> None:
    embedding, features = rows(5, 3).requires_grad_(), rows(5, 6).requires_grad_()
    similarity_gap(embedding, features, torch.ones(5)).backward()
    assert features.grad is None


@pytest.mark.parametrize("shape", [(1, 1), (9, 4), (4, 9), (13, 13)])
@pytest.mark.parametrize("block_size", [1, 4, 5, 256])
def test_squared_gram_norm_in_blocks(shape: tuple[int, int], block_size: int) -> None:
    matrix = rows(*shape)
    expected = float((matrix @ matrix.T).square().sum())
    assert float(squared_gram_norm(matrix, block_size)) == pytest.approx(expected, rel=1e-12)
