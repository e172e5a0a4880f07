"""On a shop with known truth, AnchorRec finds what the features tell and LightGCN cannot see."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import torch

import anchorrec_graph as ag
from anchorrec_graph.diagnose import knn_overlap

ROOT = Path(__file__).parents[1]
SHORT = ["train.epochs=24", "train.evaluate_every=2", "train.seeds=[0,1,2]"]
MARGIN = 0.02  # of Recall@20; benchmarks/README.md has the full training


def trained(name: str, folder: Path) -> tuple[float, dict[str, float]]:
    """Mean test Recall@20 over three seeds, and the final space's overlap with each modality in one."""
    config = ag.load_config(ROOT / "configs" / name / "planted.yaml", SHORT)
    data = config.dataset.load()
    result = ag.fit(config, data, folder / name)
    with torch.no_grad():
        items = ag.load_run(result.folder).model.encode().item
    overlap = {m: knn_overlap(items, data["item"][m]).corrected for m in data.modalities}
    return statistics.fmean(r["test"]["Recall@20"] for r in result.seeds.values()), overlap


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, dict[str, float]]]:
    folder = tmp_path_factory.mktemp("planted")
    return {name: trained(name, folder) for name in ("anchorrec", "lightgcn", "popularity")}


@pytest.mark.parametrize("rival", ["lightgcn", "popularity"])
def test_recall_is_above_by_a_margin(results: dict[str, tuple[float, dict[str, float]]], rival: str) -> None:
    assert results["anchorrec"][0] > results[rival][0] + MARGIN


def test_structure_of_every_modality_is_kept(results: dict[str, tuple[float, dict[str, float]]]) -> None:
    overlap, rival = results["anchorrec"][1], results["lightgcn"][1]
    assert set(overlap) == {"image", "text"}
    assert all(overlap[modality] > 2 * rival[modality] for modality in overlap)
