from __future__ import annotations

from pathlib import Path
from typing import Any

import naive
import pytest
import torch
from torch import Tensor

from anchorrec_graph.graph.consistent import cached_consistent_edges, consistent_knn_edges, mean_cosine
from anchorrec_graph.graph.knn import KnnConfig, KnnEdges, unit_rows

NUM_ITEMS = 23
Near = list[list[tuple[int, float]]]


def features(num_modalities: int = 2, shift: float = 0.3) -> dict[str, Tensor]:
    """Rows in float64 whose cosines are mostly positive, and one without a direction per modality."""
    generator = torch.Generator().manual_seed(0)
    drawn = {}
    for place in range(num_modalities):
        rows = torch.randn(NUM_ITEMS, 4 + place, generator=generator, dtype=torch.float64) + shift
        rows[3 * place] = 0 if place % 2 == 0 else torch.nan
        drawn[f"m{place}"] = rows
    return drawn


def loops(modalities: dict[str, Tensor], config: KnnConfig) -> dict[str, Near]:
    rows = {m: x.numpy() for m, x in modalities.items()}
    usable = {m: [naive.has_direction(row) for row in x] for m, x in rows.items()}
    mean = {}
    for m, x in rows.items():
        valid = [row for row, has in zip(x, usable[m], strict=True) if has]
        mean[m] = sum(naive.cosine(a, b) for a in valid for b in valid) / len(valid) ** 2

    def consistent(i: int, j: int) -> bool:
        known = [m for m in rows if usable[m][i] and usable[m][j]]
        return all(naive.cosine(rows[m][i], rows[m][j]) >= mean[m] for m in known)

    found: dict[str, Near] = {}
    for m, x in rows.items():
        found[m] = []
        for i in range(NUM_ITEMS):
            near = [
                (j, naive.cosine(x[i], x[j]))
                for j in range(NUM_ITEMS)
                if usable[m][i] and usable[m][j] and consistent(i, j) and (config.include_self or i != j)
            ]
            near = [(j, cosine) for j, cosine in near if cosine > 0 or not config.drop_negative]
            found[m].append(sorted(near, key=lambda pair: -pair[1])[: config.k])
    return found


def by_item(edges: KnnEdges) -> Near:
    found: Near = [[] for _ in range(NUM_ITEMS)]
    for item, neighbour, weight in zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True):
        found[item].append((neighbour, weight))
    return found


@pytest.mark.parametrize("block_size", [1, 5, 23, 512])
@pytest.mark.parametrize(
    "settings",
    [
        {"k": 3},
        {"k": 50},
        {"k": 3, "include_self": True},
        {"k": 50, "include_self": True, "drop_negative": False},
    ],
)
@pytest.mark.parametrize(("num_modalities", "shift"), [(1, 0.3), (2, 0.3), (3, 0.0)])
def test_blocks_equal_the_loops(
    num_modalities: int, shift: float, settings: dict[str, Any], block_size: int
) -> None:
    modalities, config = features(num_modalities, shift), KnnConfig(**settings)
    expected = loops(modalities, config)
    for m, edges in consistent_knn_edges(modalities, config, block_size).items():
        found = by_item(edges)
        assert [[j for j, _ in near] for near in found] == [[j for j, _ in near] for near in expected[m]]
        for mine, twin in zip(found, expected[m], strict=True):
            assert [cosine for _, cosine in mine] == pytest.approx([cosine for _, cosine in twin], abs=1e-12)


def test_a_neighbour_that_another_modality_contradicts_is_none() -> None:
    image = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, -0.2], [-1.0, 0.0]])
    text = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    config = KnnConfig(k=1)
    alone = by_item(consistent_knn_edges({"image": image}, config)["image"])
    both = by_item(consistent_knn_edges({"image": image, "text": text}, config)["image"])
    assert alone[0][0][0] == 1
    assert both[0][0][0] == 2


def test_what_an_item_lacks_contradicts_nothing() -> None:
    modalities = features(2)
    found = consistent_knn_edges(modalities, KnnConfig(k=3, include_self=True))
    assert by_item(found["m0"])[0] == []
    assert len(by_item(found["m1"])[0]) == 3


def test_equal_rows_keep_each_other() -> None:
    rows = torch.randn(1, 300, generator=torch.Generator().manual_seed(0)).repeat(40, 1)
    edges = consistent_knn_edges({"m": rows}, KnnConfig(k=40, include_self=True))["m"]
    assert len(edges.edge_weight) == 40 * 40


def test_binary_weights_are_one() -> None:
    edges = consistent_knn_edges(features(), KnnConfig(k=3, weight="binary"))
    assert set(edges["m0"].edge_weight.tolist()) == {1.0}


def test_no_row_has_a_direction() -> None:
    edges = consistent_knn_edges({"m": torch.zeros(5, 3)}, KnnConfig(include_self=True))["m"]
    assert edges.edge_index.shape == (2, 0)


def test_mean_cosine_is_over_all_pairs() -> None:
    unit, valid = unit_rows(features(1)["m0"])
    cosines = (unit @ unit.T)[valid][:, valid]
    torch.testing.assert_close(mean_cosine(unit, valid), cosines.mean())


def test_a_change_of_any_modality_or_setting_builds_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))
    modalities, config = features(), KnnConfig(k=3)
    for _ in range(2):
        found = cached_consistent_edges(modalities, config)
        for m, expected in consistent_knn_edges(modalities, config).items():
            assert torch.equal(found[m].edge_index, expected.edge_index)
            assert torch.equal(found[m].edge_weight, expected.edge_weight)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    modalities["m1"][5] *= -1
    cached_consistent_edges(modalities, config)
    cached_consistent_edges(modalities, KnnConfig(k=4))
    cached_consistent_edges(dict(zip("ab", modalities.values(), strict=True)), config)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4
