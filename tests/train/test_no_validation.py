"""Data that cannot choose an epoch are refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

import anchorrec_graph as ag
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.errors import DataError


def test_no_validation_pairs(tmp_path: Path) -> None:
    shop = {"name": "planted", "num_users": 30, "num_items": 40}
    config = ag.Config.model_validate({"dataset": shop, "model": "popularity"})
    data = PlantedConfig(num_users=30, num_items=40).load()
    data[INTERACTS].val_edge_label_index = data[INTERACTS].val_edge_label_index[:, :0]
    with pytest.raises(DataError, match="no validation interactions"):
        ag.fit(config, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
