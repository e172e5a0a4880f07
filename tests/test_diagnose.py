from __future__ import annotations

import pytest
import torch

from anchorrec_graph.diagnose import knn_overlap


def test_a_space_and_its_rotation_share_all_neighbours() -> None:
    torch.manual_seed(0)
    space = torch.randn(60, 8)
    rotation = torch.linalg.qr(torch.randn(8, 8)).Q
    assert knn_overlap(space, 3 * space @ rotation).corrected == pytest.approx(1)


def test_unrelated_spaces_share_what_chance_gives() -> None:
    torch.manual_seed(0)
    overlap = knn_overlap(torch.randn(400, 8), torch.randn(400, 8), k=20)
    assert overlap.mean == pytest.approx(20 / 399, abs=0.01)
    assert overlap.corrected == pytest.approx(0, abs=0.01)
