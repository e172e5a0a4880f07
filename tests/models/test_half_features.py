"""Half floats, as of a float16 memory map, count as the same numbers in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features
from anchorrec_graph.data.mmrec import MMRecConfig
from anchorrec_graph.models.anchorrec import AnchorRecConfig
from anchorrec_graph.models.base import MODELS, ModelConfig
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.testing.model_case import embeddings_of, model_case


def twins() -> tuple[HeteroData, HeteroData]:
    half, single = tiny_data(), tiny_data()
    for modality, rows in native_features(tiny_data()).items():
        half["item"][modality] = rows.half()
        single["item"][modality] = rows.half().float()
    return half, single


CONFIGS = [
    *(MODELS.config_class(name)() for name in sorted(MODELS)),
    AnchorRecConfig(feature_dim=3, features_on_disk=True),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_model_is_that_of_the_same_numbers_in_float32(
    config: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))
    found, expected = (embeddings_of(model_case(config, data).build()) for data in twins())
    assert torch.equal(found.user, expected.user)
    assert torch.equal(found.item, expected.item)
    ours, theirs = (model_case(config, data) for data in twins())
    assert torch.equal(ours.loss(ours.build()), theirs.loss(theirs.build()))


def test_a_float16_file_stays_a_memory_map(tmp_path: Path) -> None:
    (tmp_path / "shop.inter").write_text(
        "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t1\t0\n1\t2\t2\n0\t2\t0\n"
    )
    rows = np.arange(6, dtype=np.float16).reshape(3, 2) + 1
    np.save(tmp_path / "image_feat.npy", rows)
    np.save(tmp_path / "text_feat.npy", rows.astype(np.float64))
    data = MMRecConfig(folder=tmp_path).load()
    assert (data["item"]["image"].dtype, data["item"]["text"].dtype) == (torch.float16, torch.float32)
    address = data["item"]["image"].data_ptr()
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    (named,) = [line[0] for line in maps if line[-1] == str(tmp_path / "image_feat.npy")]
    start, end = (int(bound, 16) for bound in named.split("-"))
    assert start <= address < end
    assert {str(x.dtype) for x in native_features(data).values()} == {"torch.float32"}
    data["item"]["image"][0] = 0  # a copy of the process, as of open_features
    assert np.array_equal(np.load(tmp_path / "image_feat.npy"), rows)
