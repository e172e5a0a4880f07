"""All measures of a model at once, on spaces where the answers are known."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from models import Given, item_space, value
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.diagnose import items as diagnosed_items
from anchorrec_graph.diagnose import lists as diagnosed_lists
from anchorrec_graph.diagnose.diagnosis import Diagnoser
from anchorrec_graph.diagnose.measures import FAMILIES, MEASURES
from anchorrec_graph.diagnose.structure import (
    item_coherence,
    item_overlap,
    item_trustworthiness,
    knn_overlap,
    linear_cka,
    neighbour_coherence,
    trustworthiness,
)
from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate import EvaluateConfig, Evaluator
from anchorrec_graph.graph.knn import KnnConfig, knn_edges
from anchorrec_graph.graph.topology import neighbour_overlap
from anchorrec_graph.models import build_model
from anchorrec_graph.models.anchorrec import AnchorRecConfig
from anchorrec_graph.models.popularity import PopularityConfig
from anchorrec_graph.models.scoring import beside, sum_views
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.testing.tiny import NUM_USERS
from anchorrec_graph.typing import View

K = 4
GROUPS = ("all", "q1", "q2", "q3", "q4")


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return tiny_data()


@pytest.fixture(scope="module")
def diagnoser(data: HeteroData) -> Diagnoser:
    return Diagnoser(data, k=K)


def groups_of(table: pl.DataFrame, measure: str, space: str, against: str) -> dict[str, float]:
    kept = table.filter(measure=measure, space=space, against=against)
    return dict(kept.select("group", "value").rows())


def test_a_copy_of_the_features_keeps_everything(diagnoser: Diagnoser, data: HeteroData) -> None:
    image = data["item"].image
    table = diagnoser.diagnose(Given({"id": item_space(0), "image": image}))
    for measure in ("overlap", "trustworthiness", "cka"):
        of_copy = groups_of(table, measure, "view/image", "native/image")
        assert of_copy == {group: pytest.approx(1, abs=1e-6) for group in of_copy}, measure
        assert {"all", "q1", "q4"} <= set(of_copy)
        assert value(table, measure, "view/id", "native/image") < 0.8
    copied, oracle = (groups_of(table, "coherence", s, "native/image") for s in ("view/image", "oracle"))
    assert copied == pytest.approx(oracle)


def test_one_view_copied_onto_another_is_one_place(diagnoser: Diagnoser) -> None:
    same = item_space(0)
    table = diagnoser.diagnose(Given({"id": same, "image": 3 * same, "text": item_space(1)}))
    expected = {"paired distance": 1, "mrr": 1, "alignment": 0, "gap": 0}
    for measure, collapsed in expected.items():
        found = groups_of(table, measure, "view/id", "view/image")
        assert found == {group: pytest.approx(collapsed, abs=1e-6) for group in found}, measure
        assert {"all", "q1", "q4"} <= set(found)
        assert value(table, measure, "view/id", "view/text") != pytest.approx(collapsed, abs=0.1)
        assert value(table, measure, "oracle", "view/text") == pytest.approx(collapsed, abs=1e-6)
    assert value(table, "paired distance", "random", "view/text") == pytest.approx(0, abs=0.15)


def test_values_are_those_of_the_measures(diagnoser: Diagnoser, data: HeteroData) -> None:
    a, b = item_space(0), item_space(1)
    table, text = diagnoser.diagnose(Given({"id": a, "image": b})), data["item"].text
    at = ("final", "native/text")
    assert value(table, "overlap", *at) == pytest.approx(knn_overlap(a + b, text, K).corrected, abs=1e-9)
    assert value(table, "coherence", *at) == pytest.approx(neighbour_coherence(a + b, text, K), abs=1e-9)
    assert value(table, "trustworthiness", *at) == pytest.approx(trustworthiness(a + b, text, K), abs=1e-9)
    assert value(table, "cka", *at) == pytest.approx(linear_cka(a + b, text), abs=1e-9)


def test_groups_average_to_the_whole(diagnoser: Diagnoser, data: HeteroData) -> None:
    """For a measure of items, weighted by the sizes of the quartiles."""
    table = diagnoser.diagnose(Given({"id": item_space(0)}))
    by_group = groups_of(table, "overlap", "final", "native/text")
    sizes = torch.bincount(diagnoser.items.quartile, minlength=4).tolist()
    total = sum(by_group[g] * size for g, size in zip(GROUPS[1:], sizes, strict=True) if g in by_group)
    assert by_group["all"] == pytest.approx(total / data["item"].num_nodes)


def test_shares_and_shapley_values_add_up(diagnoser: Diagnoser, data: HeteroData) -> None:
    model = Given({"id": item_space(0), "image": item_space(1), "text": item_space(2)})
    table = diagnoser.diagnose(model)
    for measure in ("ranking share", "covariance share", "absolute share"):
        assert table.filter(measure=measure)["value"].sum() == pytest.approx(1)
    recall = value(table, "recall", "score")
    config = EvaluateConfig(metrics=("Recall@20",))
    assert recall == Evaluator(config, data).evaluate(model.embeddings, "validation").metrics["Recall@20"]
    assert table.filter(measure="shapley")["value"].sum() == pytest.approx(recall)


def test_lists_are_those_of_the_split_that_is_asked_for(data: HeteroData) -> None:
    model = Given({"id": item_space(0), "image": item_space(1)})
    for split in ("validation", "test"):
        config = EvaluateConfig(metrics=("Recall@20", "Coverage@20", "Gini@20"))
        expected = Evaluator(config, data).evaluate(model.embeddings, split).metrics  # type: ignore[arg-type]
        table = Diagnoser(data, split, K).diagnose(model)  # type: ignore[arg-type]
        for measure, metric in (("recall", "Recall@20"), ("coverage", "Coverage@20"), ("gini", "Gini@20")):
            assert value(table, measure, "score") == pytest.approx(expected[metric]), split


def test_columns_and_names(diagnoser: Diagnoser) -> None:
    torch.manual_seed(0)
    model = build_model(AnchorRecConfig(embedding_dim=8), tiny_data())
    table = diagnoser.diagnose(model)
    assert table.columns == ["measure", "space", "against", "group", "value"]
    assert set(table["measure"]) == set(MEASURES)
    assert set(table["group"]) <= set(GROUPS)
    assert table["value"].is_finite().all()
    assert not table.select(pl.struct("measure", "space", "against", "group").is_duplicated().any()).item()
    assert {measure.family for measure in MEASURES.values()} == set(FAMILIES)


def test_the_same_every_time_and_apart_by_seed(diagnoser: Diagnoser) -> None:
    model = Given({"id": item_space(0), "image": item_space(1)})
    first = diagnoser.diagnose(model, seed=3)
    assert first.equals(diagnoser.diagnose(model, seed=3))
    other = diagnoser.diagnose(model, seed=4)
    assert value(first, "overlap", "random", "native/text") != value(
        other, "overlap", "random", "native/text"
    )
    assert value(first, "overlap", "final", "native/text") == value(other, "overlap", "final", "native/text")


def test_a_model_of_one_view_has_no_dominance_and_one_without_spaces_has_lists(diagnoser: Diagnoser) -> None:
    single = diagnoser.diagnose(Given({"id": item_space(0)}))
    assert value(single, "overlap", "view/id", "native/text") == value(
        single, "overlap", "final", "native/text"
    )
    assert not set(single["measure"]) & {"shapley", "ranking share", "removal drop", "paired distance"}
    popularity = diagnoser.diagnose(build_model(PopularityConfig(), tiny_data()))
    assert set(popularity["measure"]) == {"recall", "list popularity", "gini", "coverage"}


def test_too_many_views_have_no_shapley_values(diagnoser: Diagnoser) -> None:
    table = diagnoser.diagnose(Given({f"v{place}": item_space(place) for place in range(13)}))
    assert "shapley" not in set(table["measure"])
    assert len(table.filter(measure="removal drop")) == 13


def test_history_stands_apart(diagnoser: Diagnoser) -> None:
    """It has columns of its own: no position against learned views, and none of its columns in them."""
    learned = {
        name: View(item_space(5)[:NUM_USERS], item_space(seed)) for name, seed in (("id", 0), ("x", 1))
    }
    history = View(torch.ones(NUM_USERS, 3), item_space(2, dim=3))
    popularity = View(torch.ones(NUM_USERS, 1), item_space(3, dim=1))
    whole = beside(beside(sum_views(learned), "history", history), "popularity", popularity)
    table, alone = diagnoser.diagnose(Given(whole)), diagnoser.diagnose(Given(sum_views(learned)))
    spaces = set(table.filter(measure="overlap")["space"])
    assert spaces == {"final", "view/id", "view/x", "view/history", "random", "oracle", *native_names()}
    assert set(table.filter(measure="paired distance")["space"]) == {"view/id", "random", "oracle"}
    for measure in ("overlap", "cka"):
        for space in ("final", "view/id"):
            at = (measure, space, "native/text")
            assert value(table, *at) == pytest.approx(value(alone, *at)), at
    assert value(table, "effective rank", "view/history") <= 3


def native_names() -> set[str]:
    return {"native/image", "native/text"}


def test_data_without_modalities() -> None:
    table = Diagnoser(tiny_data(modalities=()), k=K).diagnose(
        Given({"id": item_space(0), "x": item_space(1)})
    )
    assert {"paired distance", "effective rank", "shapley", "neighbour popularity"} <= set(table["measure"])
    assert not set(table["measure"]) & {"overlap", "cka"}


def test_samples_are_exact_for_what_they_hold(data: HeteroData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosed_items, "EXACT", 20)
    monkeypatch.setattr(diagnosed_items, "MAX_QUERIES", 9)
    monkeypatch.setattr(diagnosed_items, "MAX_RANKED", 7)
    monkeypatch.setattr(diagnosed_items, "MAX_ROWS", 15)
    monkeypatch.setattr(diagnosed_lists, "MAX_USERS", 6)
    space, text = item_space(0), data["item"].text
    diagnoser = Diagnoser(data, k=K)
    table = diagnoser.diagnose(Given({"id": space, "x": torch.zeros_like(space)}))
    _, _, queries, ranked, rows = diagnoser.items
    assert (len(queries), len(ranked), len(rows)) == (9, 7, 15)
    assert set(ranked.tolist()) < set(queries.tolist())
    near, near_text = (knn_edges(x, KnnConfig(k=K, drop_negative=False)).edge_index for x in (space, text))

    def mean(values: Tensor, asked: Tensor = queries) -> float:
        return float(values[asked].nanmean())

    at = ("final", "native/text")
    overlap = item_overlap(neighbour_overlap(near, near_text, len(space)))
    assert value(table, "overlap", *at) == pytest.approx(mean(overlap))
    assert value(table, "coherence", *at) == pytest.approx(mean(item_coherence(near, text)))
    assert value(table, "trustworthiness", *at) == pytest.approx(
        mean(item_trustworthiness(near, text), ranked)
    )
    assert value(table, "cka", *at) == pytest.approx(linear_cka(space[rows], text[rows]))
    pairs = data[INTERACTS].val_edge_label_index
    assert len(pairs[0].unique()) > 6
    users, sampled = diagnoser.notes
    assert users.endswith("recall and what views add to it of 6.")
    assert "9 random items" in sampled


def test_k_must_fit_the_items(data: HeteroData) -> None:
    with pytest.raises(DataError, match="needs k below half of the 23 items"):
        Diagnoser(data, k=12).diagnose(Given({"id": item_space(0)}))
