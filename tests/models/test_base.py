from __future__ import annotations

import pytest
import torch

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.models.base import item_features, modality_shares
from anchorrec_graph.testing import tiny_data


def test_item_features_are_the_data_s_in_its_order() -> None:
    data = tiny_data(modalities=("text", "audio"))
    features = item_features(data, "model", "id")
    assert list(features) == ["text", "audio"]
    assert all(torch.equal(rows, data["item"][modality]) for modality, rows in features.items())


@pytest.mark.parametrize("name", ["id", "global", "popularity", "items", "keys", "type", "forward"])
def test_names_that_a_model_needs_are_no_modality(name: str) -> None:
    """Its own views, that of the popularity prior, and attributes of a `ModuleDict`."""
    data = tiny_data(modalities=("image", name))
    with pytest.raises(
        ConfigError, match=f"^a modality is named '{name}', a name that some uses itself; rename it$"
    ):
        item_features(data, "some", "id", "global")


def test_names_of_other_models_views_are_free() -> None:
    data = tiny_data(modalities=("id", "global"))
    assert list(item_features(data, "some", "behaviour")) == ["id", "global"]


def test_data_without_modalities() -> None:
    message = "some needs a modality, and the data set has none; try model lightgcn"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        item_features(tiny_data(modalities=()), "some")


def test_shares() -> None:
    names = ["image", "text"]
    assert modality_shares("graph_shares", None, names) == {"image": 0.5, "text": 0.5}
    assert modality_shares("graph_shares", None, iter(names)) == {"image": 0.5, "text": 0.5}
    assert modality_shares("graph_shares", {"text": 3.0, "image": 0.0}, names) == {"text": 3.0}


def test_wrong_shares_name_their_setting() -> None:
    names = ["image", "text"]
    with pytest.raises(ConfigError, match=r"model\.some: unknown modality 'txt'; did you mean 'text'"):
        modality_shares("some", {"txt": 1.0}, names)
    for nothing in ({}, {"image": 0.0}):
        with pytest.raises(ConfigError, match=r"model\.some: give a share above 0 to one of image, text"):
            modality_shares("some", nothing, names)
