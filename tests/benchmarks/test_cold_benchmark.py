"""`python benchmarks/cold.py` on a shop of 60 items, and its rivals against models that have the items."""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
import torch
from tiny_runs import tiny_config
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.evaluate.cold_items import ColdItems, NewItems
from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.models.content_knn import nearest_cosines
from anchorrec_graph.models.ease_features import EASEFeatures, EASEFeaturesConfig
from anchorrec_graph.testing import tiny_data

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
SHOP = "dataset={name: planted, num_users: 60, num_items: 60, interactions_per_user: 8, num_clusters: 4}"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def script(folder: Path) -> ModuleType:
    metrics = ["evaluate.metrics=[Recall@20]", "train.metric=Recall@20", "train.epochs=1", SHOP]
    ours = "model={name: anchorrec, embedding_dim: 8, history: {weight: 5, dim: 8}}"
    for name, model in (("anchorrec", ours), ("ease_features", "model={name: ease_features}")):
        (folder / "configs" / name).mkdir(parents=True)
        text = tiny_config(folder, model, *metrics).to_yaml()
        (folder / f"configs/{name}/tiny.yaml").write_text(text, encoding="utf-8")
    return importlib.import_module("cold")


def test_publishes_and_trains_once(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cold.py", "tiny", "--seeds", "0,1", "--publish"])
    script.main()
    text = (folder / "benchmarks/results/cold-tiny.md").read_text(encoding="utf-8")
    assert "12 items held out whole for test and 6 for choices, 42 to train on" in text
    assert text.count("| anchorrec, items in its graphs |") == 3
    assert "Users held out whole (12 on average)" in text
    assert capsys.readouterr().out.startswith(text)
    found = json.loads((folder / "benchmarks/results/cold-tiny.json").read_text())
    assert len(found["items"]["test"]["new items"]["random"]["Recall@20"]["seeds"]) == 2
    assert found["items"]["test"]["new items"]["random"]["Recall@20"]["mean"] == 1  # 12 places for 12 items
    assert found["items"]["test"]["all items"]["popularity"]["Recall@20"]["mean"] < 0.2
    assert found["items"]["test"]["all items"]["anchorrec"]["Recall@20"]["holm"] == {}
    assert len(list((folder / ".cache/cold/tiny").glob("*.safetensors"))) == 8
    popular = found["items"]["cost"]["popularity"][1]  # new items stand behind all that were bought
    assert popular["beside"] == popular["alone"] > 0
    assert popular["fair"] == pytest.approx(12 / 54)
    assert "| popularity | " in text[text.index("What it costs") :]

    monkeypatch.setattr(importlib.import_module("cold_training"), "Trainer", None)
    monkeypatch.setattr("sys.argv", ["cold.py", "tiny", "--seeds", "0,1", "--publish", "--only", "users"])
    script.main()
    again = json.loads((folder / "benchmarks/results/cold-users-tiny.json").read_text())
    assert again["users"] == found["users"]
    assert "items" not in again
    assert json.loads((folder / "benchmarks/results/cold-tiny.json").read_text()) == found


def test_other_settings_are_another_training(script: ModuleType, folder: Path) -> None:
    training = importlib.import_module("cold_training")
    model, data = "model={name: anchorrec, embedding_dim: 8}", tiny_data()
    config = tiny_config(folder, model, "train.epochs=1")
    training.trained(config, data, 0, folder, "x")
    training.trained(tiny_config(folder, model, "train.epochs=2"), data, 0, folder, "x")
    training.trained(config, data, 1, folder, "x")
    other = copy.copy(data)
    other[INTERACTS].edge_index = data[INTERACTS].edge_index[:, 1:]
    training.trained(config, other, 0, folder, "x")
    assert len(list(folder.glob("x-*.safetensors"))) == 4


def test_a_damaged_training_is_made_again(script: ModuleType, folder: Path) -> None:
    training, data = importlib.import_module("cold_training"), tiny_data()
    config = tiny_config(folder, "model={name: anchorrec, embedding_dim: 8}", "train.epochs=1")
    first = training.trained(config, data, 0, folder, "x")
    (path,) = folder.glob("x-*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    second = training.trained(config, data, 0, folder, "x")
    assert all(second.model.state_dict()[name].equal(x) for name, x in first.model.state_dict().items())


def apart(last: int = 23) -> tuple[HeteroData, HeteroData, dict[str, Tensor]]:
    """Data whose last item nobody has in training, the same without it, and its features."""
    data = tiny_data()
    data["item"].image[last] = data["item"].image[1:4].mean(0)  # its neighbours are others' purchases
    smaller = copy.copy(data)
    smaller["item"].num_nodes, smaller["item"].table = last, data["item"].table[:last]
    for modality in data.modalities:
        smaller["item"][modality] = data["item"][modality][:last]
    assert not (data[INTERACTS].edge_index[1] == last).any()
    return data, smaller, {modality: data["item"][modality][last:] for modality in data.modalities}


def test_the_regression_of_a_new_item_is_that_of_an_empty_column(folder: Path) -> None:
    data, smaller, new = apart()
    config = EASEFeaturesConfig(regularization=2.0, feature_weight=5.0, modalities={"image": 1, "text": 3})
    found = importlib.import_module("cold_rivals").ease_features(config, smaller, new)
    wanted = EASEFeatures(config, data).item[-1]  # column of the last item
    torch.testing.assert_close(found.item[-1], wanted[:-1], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found.item[:-1], EASEFeatures(config, smaller).item)
    assert wanted.abs().max() > 0.01


@pytest.mark.parametrize("k", [1, 4, 99])
def test_a_new_item_has_the_neighbours_that_it_would_have(folder: Path, k: int) -> None:
    data, smaller, new = apart()
    found = importlib.import_module("cold_rivals").content_knn(smaller, new, k)
    wanted = [nearest_cosines(data["item"][m], KnnConfig(k=k))[-1] for m in data.modalities]
    torch.testing.assert_close(found.item[-1], torch.stack(wanted).mean(0)[:-1])
    assert found.item[-1].any()


def test_the_cost_counts_places_and_hits(folder: Path) -> None:
    """Two new items behind 40 old ones: one that everyone sees first, one that nobody sees."""
    costs = importlib.import_module("cold_cost")
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 2, 40
    data[INTERACTS].edge_index = torch.tensor([[0], [0]])
    data[INTERACTS].val_edge_label_index = torch.tensor([[0, 0], [20, 30]])  # ranks 20 and 30 of what is left
    scores = torch.cat([-torch.arange(40.0), torch.tensor([1.0, -99.0])]).expand(2, -1)
    new = NewItems(pl.DataFrame({"item_id": ["a", "b"]}), {}, torch.empty(2, 0, dtype=torch.long))
    scorer = importlib.import_module("cold_rivals").Table(scores)
    found = costs.cost(scorer, ColdItems(data, new, new), new)
    assert found == costs.Cost(0.5, 0.0, pytest.approx(1 / 20), pytest.approx(2 / 42))


def test_the_mean_cosine_counts_all_items_of_a_user(folder: Path) -> None:
    _, smaller, new = apart()
    scores = importlib.import_module("cold_rivals").mean_cosine(smaller, new).scores(torch.tensor([3]))[0]
    user, item = smaller[INTERACTS].edge_index
    for place in (5, 23):
        total = 0.0
        for modality, x in new.items():
            rows = torch.cat([smaller["item"][modality], x])
            for j in item[user == 3].tolist():
                total += float(torch.cosine_similarity(rows[place], rows[j], dim=0)) / 2
        assert float(scores[place]) == pytest.approx(total, abs=1e-5)


def test_popularity_breaks_ties_alone(folder: Path) -> None:
    rivals, data = importlib.import_module("cold_rivals"), tiny_data()
    scores = rivals.popularity(data, 5, 0).scores(torch.tensor([0, 1]))
    bought = torch.bincount(data[INTERACTS].edge_index[1], minlength=29)
    assert scores[0].equal(scores[1])
    assert scores[0].floor().long().equal(bought)
    assert len(scores[0, -5:].unique()) == 5
    assert not rivals.popularity(data, 5, 1).table[0].equal(scores[0])


def test_users_are_averaged_over_the_seeds_that_have_them(folder: Path) -> None:
    tables = importlib.import_module("cold_tables")

    def table(users: list[int], values: list[float]) -> pl.DataFrame:
        return pl.DataFrame({"user": users, "Recall@20": values, "NDCG@20": values})

    measured = {
        "ours": [table([1, 2], [1.0, 0.0]), table([2, 3], [1.0, 0.5])],
        "theirs": [table([1, 2], [0.0, 0.0]), table([2, 3], [0.5, 0.5])],
    }
    cell = tables.cells(measured, "ours")["theirs"]["Recall@20"]
    assert cell.seeds == [0.0, 0.5]
    assert cell.difference == pytest.approx((-1 - 0.25 + 0) / 3)
    assert cell.sign == "≈"
    assert tables.cells(measured, "ours")["ours"]["NDCG@20"].difference is None
