from __future__ import annotations

import math

import naive
import numpy as np
import pytest
import torch

from anchorrec_graph.explain.similar import most_similar


@pytest.mark.parametrize("k", [1, 3, 99])
def test_equals_cosines_by_hand(k: int) -> None:
    features = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    others = torch.tensor([7, 2, 9, 4])
    found, cosine = most_similar(features, 3, others, k)
    rows = features.double().numpy()
    expected = sorted(((naive.cosine(rows[3], rows[j]), j) for j in others.tolist()), reverse=True)[:k]
    assert found.tolist() == [j for _, j in expected]
    np.testing.assert_allclose(cosine, [value for value, _ in expected], atol=1e-6)


def test_rows_without_features_are_left_out_and_ties_keep_their_order() -> None:
    features = torch.ones(5, 2)
    features[1], features[2, 0] = 0, math.nan
    assert most_similar(features, 0, torch.tensor([4, 1, 2, 3]), 9)[0].tolist() == [4, 3]
    assert most_similar(features, 1, torch.tensor([4, 3]), 9)[0].tolist() == []
    assert most_similar(features, 0, torch.tensor([], dtype=torch.long), 9)[0].tolist() == []
