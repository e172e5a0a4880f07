"""The regression of item rows on features against one refit per item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anchorrec_graph.nn.feature_ridge import STRENGTHS, fit_feature_ridge

Array = np.ndarray[Any, Any]
GENERATOR = torch.Generator().manual_seed(0)
FEATURES = {
    "image": torch.randn(12, 7, generator=GENERATOR),
    "text": torch.randn(12, 9, generator=GENERATOR),  # 16 columns, more than items
}
FEATURES["image"][4] = 0  # an item without a picture
ROWS = FEATURES["image"][:, :3] + 0.4 * torch.randn(12, 3, generator=GENERATOR) + 2
NEW = {m: torch.randn(2, x.shape[1], generator=GENERATOR) for m, x in FEATURES.items()}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))


def unit(features: dict[str, torch.Tensor], i: int, modality: str) -> Array:
    row = features[modality][i].double().numpy()
    return row / (np.linalg.norm(row) or 1)


def kernel(a: dict[str, torch.Tensor], i: int, b: dict[str, torch.Tensor], j: int) -> float:
    return sum(float(unit(a, i, m) @ unit(b, j, m)) for m in FEATURES) / len(FEATURES)


def predicted(kept: list[int], strength: float, of: dict[str, torch.Tensor], i: int) -> Array:
    """Of item i by a regression on the kept items; the mean is that of all."""
    center = ROWS.double().numpy().mean(0)
    gram = np.array([[kernel(FEATURES, a, FEATURES, b) for b in kept] for a in kept])
    dual = np.linalg.solve(gram + strength * np.eye(len(kept)), ROWS.double().numpy()[kept] - center)
    return center + np.array([kernel(of, i, FEATURES, a) for a in kept]) @ dual


def test_it_is_the_regression_on_unit_features() -> None:
    fit = fit_feature_ridge(FEATURES, ROWS)
    expected = [predicted(list(range(12)), fit.strength, NEW, i) for i in range(2)]
    np.testing.assert_allclose(fit.ridge.rows(NEW), expected, atol=1e-5)


def test_left_out_is_a_refit_without_the_item_and_strength_the_best_of_them() -> None:
    fit, errors = fit_feature_ridge(FEATURES, ROWS), {}
    for strength in STRENGTHS:
        rows = [predicted([j for j in range(12) if j != i], strength, FEATURES, i) for i in range(12)]
        errors[strength] = float(((np.array(rows) - ROWS.double().numpy()) ** 2).sum())
        if strength == pytest.approx(fit.strength):
            np.testing.assert_allclose(fit.left_out, rows, atol=1e-5)
    assert min(errors, key=errors.__getitem__) == pytest.approx(fit.strength)
    assert STRENGTHS[0] < fit.strength < STRENGTHS[-1]


def test_a_missing_modality_says_nothing() -> None:
    ridge = fit_feature_ridge(FEATURES, ROWS).ridge
    zeros = {"image": torch.zeros(2, 7), "text": NEW["text"]}
    torch.testing.assert_close(ridge.rows({"text": NEW["text"]}), ridge.rows(zeros))
    torch.testing.assert_close(ridge.rows({"image": torch.zeros(1, 7)})[0], ROWS.mean(0))


def test_other_rows_are_another_regression() -> None:
    first, second = (fit_feature_ridge(FEATURES, ROWS * scale).ridge.rows(NEW) for scale in (1, 2))
    torch.testing.assert_close(second, 2 * first)
    torch.testing.assert_close(fit_feature_ridge(FEATURES, ROWS).ridge.rows(NEW), first)  # from the cache
