"""The closed forms against definitions: plain loops, scikit-learn and correlations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoding_world import write_items
from numpy.typing import NDArray
from sklearn.cross_decomposition import CCA

from anchorrec_graph.encoders.fuse_stored import fuse_modalities
from anchorrec_graph.encoders.joint import Moments, cca, fuse, joint_moments, whiten
from anchorrec_graph.encoders.ready_matrix import import_matrix
from anchorrec_graph.errors import ConfigError, DataError

N, WIDTHS = 40, (5, 3, 4)
Matrix = NDArray[np.float64]


@pytest.fixture
def features() -> list[Matrix]:
    """Three modalities with two factors in common."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((N, 2))
    return [
        3 * shared @ rng.standard_normal((2, width)) + rng.standard_normal((N, width)) + 5 for width in WIDTHS
    ]


def masks(missing: dict[int, list[int]] | None = None) -> list[NDArray[np.bool_]]:
    has = [np.ones(N, dtype=bool) for _ in WIDTHS]
    for modality, rows in (missing or {}).items():
        has[modality][rows] = False
    return has


def naive_moments(features: list[Matrix], complete: list[int]) -> tuple[list[float], list[list[float]]]:
    joined = [[float(value) for x in features for value in x[row]] for row in complete]
    width = len(joined[0])
    mean = [sum(row[j] for row in joined) / len(joined) for j in range(width)]
    covariance = [
        [sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in joined) / len(joined) for j in range(width)]
        for i in range(width)
    ]
    return mean, covariance


def test_moments_are_those_of_the_complete_rows(
    features: list[Matrix], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchorrec_graph.encoders.joint.BLOCK", 7)
    has = masks({0: [1, 2], 2: [5]})
    found = joint_moments(features, has)
    mean, covariance = naive_moments(features, [row for row in range(N) if row not in (1, 2, 5)])
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    assert found.blocks == [slice(0, 5), slice(5, 8), slice(8, 12)]


def test_whiten_is_the_whitened_pca_of_equally_loud_blocks(features: list[Matrix]) -> None:
    transform, dim = fuse(features, masks(), "whiten", 4, 0.3)
    z = transform(np.arange(N))
    blocks = []
    for x in features:
        centred = x - x.mean(axis=0)
        total = sum(float(value) ** 2 for row in centred for value in row) / N
        blocks.append(centred / total**0.5)
    joined = np.concatenate(blocks, axis=1)
    u, s, _ = np.linalg.svd(joined, full_matrices=False)
    eigen = s[:4] ** 2 / N
    expected = u[:, :4] * s[:4] / np.sqrt(eigen + 0.3 * eigen.mean())
    assert dim == 4
    np.testing.assert_allclose(np.abs(z), np.abs(expected), atol=1e-9)
    assert np.allclose(
        fuse(features, masks(), "whiten", 4, 0)[0](np.arange(N)).T @ z / N, np.diag(z.std(axis=0))
    )


def test_cca_of_two_modalities_is_the_sum_of_the_canonical_variates(features: list[Matrix]) -> None:
    two, has = features[:2], masks()[:2]
    z = fuse(two, has, "cca", 2, 0)[0](np.arange(N))
    model = CCA(n_components=2, scale=False, max_iter=5000, tol=1e-12).fit(*two)
    for component, (a, b) in enumerate(zip(*(part.T for part in model.transform(*two)), strict=True)):
        total = a / a.std() + b / b.std()
        np.testing.assert_allclose(abs(np.corrcoef(total, z[:, component])[0, 1]), 1, atol=1e-6)
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(z[:, component].var() - 1, abs=1e-6)  # 1 + rho


def test_regularised_cca_solves_the_generalised_eigenproblem(features: list[Matrix]) -> None:
    moments = joint_moments(features, masks())
    projection = cca(moments, 3, 0.5)
    regular = np.zeros_like(moments.covariance)
    for block in moments.blocks:
        part = moments.covariance[block, block]
        regular[block, block] = part + 0.5 * np.trace(part) / len(part) * np.eye(len(part))
    left, right = moments.covariance @ projection, regular @ projection
    eigen = [float(left[:, j] @ projection[:, j] / (right[:, j] @ projection[:, j])) for j in range(3)]
    np.testing.assert_allclose(left, right * eigen, atol=1e-9)
    assert eigen == sorted(eigen, reverse=True)
    assert eigen[0] == pytest.approx(
        np.linalg.eigvals(np.linalg.solve(regular, moments.covariance)).real.max()
    )


@pytest.mark.parametrize("recipe", ["whiten", "cca"])
def test_signs_do_not_hang_on_the_order_of_rows(features: list[Matrix], recipe: Any) -> None:
    order = np.random.default_rng(1).permutation(N)
    z = fuse(features, masks(), recipe, 3, 0.1)[0](order)
    again = fuse([x[order] for x in features], masks(), recipe, 3, 0.1)[0](np.arange(N))
    np.testing.assert_allclose(z, again, atol=1e-9)


@pytest.mark.parametrize("recipe", ["whiten", "cca"])
def test_a_missing_block_counts_as_its_mean_and_nothing_is_zero(features: list[Matrix], recipe: Any) -> None:
    has = masks({0: [3, 4], 1: [4], 2: [4]})
    z = fuse(features, has, recipe, 3, 0.1)[0](np.arange(N))
    features[0][[3, 4]] = 1e6  # whatever stands there is not looked at
    np.testing.assert_array_equal(fuse(features, has, recipe, 3, 0.1)[0](np.arange(N)), z)
    assert not z[4].any()
    mean = joint_moments(features, has).mean[:5]
    features[0][3] = mean
    has[0][3] = True
    filled = [np.delete(x, 3, axis=0) for x in features]
    moments = joint_moments(filled, [np.delete(mask, 3) for mask in has])
    projected = (np.concatenate([x[3] for x in features]) - moments.mean) @ _projection(recipe, moments)
    np.testing.assert_allclose(projected, z[3], atol=1e-9)


def _projection(recipe: str, moments: Moments) -> Matrix:
    return (whiten if recipe == "whiten" else cca)(moments, 3, 0.1)


def test_mean_of_unit_rows(features: list[Matrix]) -> None:
    two = [features[0], features[0][::-1].copy()]
    two[0][2] = 0
    has = masks({1: [5]})[:2]
    z = fuse(two, has, "mean", 1, 0)[0](np.arange(N))
    for row in range(N):
        units = [
            x[row] / np.sqrt((x[row] ** 2).sum())
            for x, h in zip(two, has, strict=True)
            if h[row] and x[row].any()
        ]
        np.testing.assert_allclose(z[row], sum(units) / len(units))
    with pytest.raises(ConfigError, match="have \\[5, 3, 4\\] columns"):
        fuse(features, masks(), "mean", 1, 0)


@pytest.mark.parametrize("recipe", ["whiten", "cca"])
def test_a_block_that_never_varies_adds_nothing(features: list[Matrix], recipe: Any) -> None:
    still = [features[0], np.ones((N, 2)), features[1]]
    z = fuse(still, masks(), recipe, 3, 0.1)[0](np.arange(N))
    without = fuse([features[0], features[1]], masks()[:2], recipe, 3, 0.1)[0](np.arange(N))
    np.testing.assert_allclose(z, without, atol=1e-9)


def test_more_directions_than_there_are(features: list[Matrix]) -> None:
    with pytest.raises(ConfigError, match="only 12 directions; take at most 12"):
        fuse(features, masks(), "whiten", 13, 0.1)
    with pytest.raises(ConfigError, match="only 4 directions"):
        fuse([x[:5] for x in features], [h[:5] for h in masks()], "cca", 5, 0.1)
    with pytest.raises(DataError, match="1 items have all"):
        fuse(features, masks({0: list(range(1, N))}), "cca", 2, 0.1)


def stored(folder: Path, features: list[Matrix], policy: Any = "mean") -> Any:
    items = write_items(folder, item_id=[str(row) for row in range(N)])
    for name, x in zip("abc", features, strict=True):
        np.save(folder / "x.npy", x.astype(np.float32))
        (folder / "ids").write_text("\n".join(map(str, range(N))))
        import_matrix(folder, name, items, folder / "x.npy", folder / "ids", dtype="float32", policy=policy)
    return items


@pytest.mark.parametrize("policy", ["mean", "zero"])
def test_rows_filled_by_a_policy_are_no_features(tmp_path: Path, features: list[Matrix], policy: Any) -> None:
    features[0][[3, 4]] = 0
    features[1][4] = features[2][4] = 0
    items = stored(tmp_path, features, policy)
    sidecar = fuse_modalities(tmp_path, "fused", items, ["a", "b", "c"], dim=3, dtype="float32")
    z = np.load(tmp_path / "features" / "fused.npy")
    expected = fuse(features, masks({0: [3, 4], 1: [4], 2: [4]}), "whiten", 3, 1.0)[0](np.arange(N))
    np.testing.assert_allclose(z, expected, atol=1e-5)
    assert (sidecar["missing"]["policy"], sidecar["missing"]["examples"]) == ("zero", ["4"])
    assert sidecar["complete_rows"] == N - 2
    assert list(sidecar["recipe"]["of"]) == ["a", "b", "c"]


def test_modalities_without_a_row_table_and_those_of_other_items(
    tmp_path: Path, features: list[Matrix]
) -> None:
    items = stored(tmp_path, features)
    first = fuse_modalities(tmp_path, "fused", items, ["a", "b"], dim=2)
    for name in ("a.rows.parquet", "a.json"):
        (tmp_path / "features" / name).unlink()
    assert fuse_modalities(tmp_path, "fused", items, ["a", "b"], dim=2)["hash"] == first["hash"]
    with pytest.raises(DataError, match=r"a\.npy: 40 rows for 39 items"):
        fuse_modalities(tmp_path, "fused", items[1:], ["a", "b"], dim=2)
    with pytest.raises(DataError, match=r"b\.npy: was made for other items"):
        fuse_modalities(tmp_path, "fused", items.reverse(), ["b", "c"], dim=2)
    for names in (["a"], ["a", "a"], ["a", "fused"]):
        with pytest.raises(ConfigError, match="two or more different modalities"):
            fuse_modalities(tmp_path, "fused", items, names, dim=2)
