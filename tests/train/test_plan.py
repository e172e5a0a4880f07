"""The forecast for a shop of any size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anchorrec_graph.config import load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.graph.approximate import PARTS
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.plan import FULL_ITEMS, GIB, Stage, plan, verdict
from anchorrec_graph.train.shop import Shop, keys, read_shop
from anchorrec_graph.train.trainer import Trainer

PLANTED = Path(__file__).parents[2] / "configs/anchorrec/planted.yaml"
RESULTS = Path(__file__).parents[2] / "benchmarks/results"
AMPLE = 1e6  # GiB


def shop(**values: Any) -> Shop:
    return Shop(**{"items": 1e6, "users": 1e6, "interactions": 1e7, **values})


def stages(**values: Any) -> dict[str, Stage]:
    return {stage.name: stage for stage in plan(shop(**values)).stages}


def told(size: Shop) -> str:
    return verdict(size, plan(size).stages)


def seconds(stage: str, **values: Any) -> float:
    return stages(**{"memory_gib": AMPLE, "cores": 1, **values})[stage].seconds


def gib(stage: str, **values: Any) -> float:
    return stages(**{"memory_gib": AMPLE, "cores": 1, **values})[stage].memory_gib


def test_words_become_a_shop() -> None:
    found = read_shop(["items=1e8", "users=2e8", "interactions=1e10", "machines=4", "memory_gib=0.5"])
    assert (found.items, found.users, found.machines, found.memory_gib) == (1e8, 2e8, 4, 0.5)
    assert keys().startswith("items=N users=N interactions=N machines=1 cores=2 memory_gib=24 dim=64 ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["items=1", "users=1"], "interactions: is missing"),
        (["items=1", "users=1", "interactions=1", "cores=1.5"], "cores: .*got 1.5"),
        (["items=1", "users=1", "interactions=1", "cores=1e300"], "cores: .*got 1e300"),
        (["items=-1", "users=1", "interactions=1"], "items: .*greater than 0, got -1"),
        (["items=nan", "users=1", "interactions=1"], "items: .*got nan"),
        (["items=inf", "users=1", "interactions=1"], "items: .*got inf"),
        (["items=1e300", "users=1", "interactions=1"], "items: .*less than or equal to .*got 1e300"),
        (["items=1.5", "users=1", "interactions=1"], "items: .*multiple of 1, got 1.5"),
        (["items=9", "users=9", "interactions=82"], "interactions: 82 are more than users x items, 81"),
        (["items=1e6", "items=2e6"], "items is given twice, as 1e6 and 2e6"),
        (["itms=1"], "unknown key 'itms'.*did you mean 'items'"),
        (["items"], "'items': expected key=value"),
    ],
)
def test_wrong_words_are_named(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_shop(words)


def test_the_largest_shop_has_a_plan() -> None:
    most: dict[str, Any] = dict.fromkeys(("items", "users", "interactions", "memory_gib"), 1e15)
    counts = dict.fromkeys(("machines", "cores", "dim", "modalities", "feature_dim", "k"), 1_000_000)
    assert told(Shop(**most, **counts)).startswith("does not fit: ")


def measured(file: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = json.loads((RESULTS / file).read_text())["results"]
    return results


@pytest.mark.parametrize("name", ["graphs", "epoch", "evaluation"])
@pytest.mark.parametrize(
    "row", measured("scale.json") + measured("scale-lists.json"), ids=lambda row: str(row["items"])
)
def test_near_what_was_measured(row: dict[str, Any], name: str) -> None:
    """The benchmark reports the pairs that train, .8 of the interactions."""
    found = row["stages"][name]
    size = {"items": row["items"], "users": row["items"], "interactions": round(row["pairs"] / 0.8)}
    stage = {"graphs": "item graphs"}.get(name, name)
    assert 0.5 < seconds(stage, **size) / found["processor_s"] < 2
    assert 0.5 < gib(stage, **size) / found["peak_gib"] < 2


@pytest.mark.parametrize("row", [row for row in measured("prepare.json") if row["format"] == "csv"])
def test_prepare_near_what_was_measured(row: dict[str, Any]) -> None:
    assert 0.5 < seconds("prepare", interactions=row["rows"]) / row["seconds"] < 2
    assert 0.5 < gib("prepare", interactions=row["rows"]) / row["peak_gib"] < 2


def test_work_grows_with_the_interactions() -> None:
    for name in ("prepare", "epoch"):
        grown = seconds(name, interactions=1e8) / seconds(name)
        assert grown == pytest.approx(10, rel=1e-3)  # the last batch of an epoch is not full
    assert seconds("item graphs", interactions=1e8) == seconds("item graphs")


def test_exact_graphs_are_shared_by_all_processes() -> None:
    """Up to 50,000 items, 1,024 at a time: of 40 blocks the first has 40 parts of 820, and so on.

    What is made of features besides is not shared.
    """
    small = {"items": 4e4, "users": 1e6}
    kept = 6e-8 * 4e4 * (640 + 512)
    one, four, many = (seconds("item graphs", cores=cores, **small) - kept for cores in (1, 4, 1000))
    assert four == pytest.approx(one * sum(range(4, 41, 4)) / 820)
    assert many == pytest.approx(one * 40 / 820)
    half = seconds("item graphs", items=2e4) - kept / 2
    assert half == pytest.approx(one / 4)


def test_inverted_lists_are_quadratic_in_the_end_and_in_part_not_shared() -> None:
    assert seconds("item graphs", items=1e10) == pytest.approx(
        100 * seconds("item graphs", items=1e9), rel=0.01
    )
    one, two, many = (seconds("item graphs", cores=cores) for cores in (1, 2, 1000))
    assert 1.2 < one / two < 1.6
    assert seconds("item graphs", items=1e7, cores=1000) > 0.5 * seconds("item graphs", items=1e7, cores=1)
    assert many == seconds("item graphs", cores=PARTS)


def test_a_process_more_takes_no_more_memory_for_graphs() -> None:
    """But each holds a block of cosines, where the search is exact."""
    assert gib("item graphs", items=5e4) == gib("item graphs", items=5e4, cores=64)
    step = gib("item graphs", items=5e4) - gib("item graphs", items=50_001)
    assert step == pytest.approx(3 * 4 * 1024 * 5e4 / GIB, rel=0.01)


def test_a_step_takes_longer_in_a_larger_shop() -> None:
    """.16, .46 and 1.43 s, and 10 ns for every user and item; 80 % of interactions, 2,048 a batch."""
    batches = 3907
    for items, step in ((1e3, 0.16), (1e4, 0.16), (1e5, 0.46), (316_228, (0.46 + 1.43) / 2), (1e6, 1.43)):
        nodes = items + 1e6
        assert seconds("epoch", items=items) == pytest.approx(batches * (step + 1e-8 * nodes))
    assert seconds("epoch", items=1e8, users=1e8) == pytest.approx(batches * (1.43 + 2.0))


def test_processes_share_the_epoch_as_far_as_memory_lets_them() -> None:
    four = stages(cores=4, memory_gib=AMPLE)["epoch"]
    assert four.seconds == pytest.approx(seconds("epoch") / (4 * 0.7))
    assert "4 processes" in four.engine
    assert "train.batches_per_step=4" in plan(shop(cores=4, memory_gib=AMPLE)).settings
    tight = stages(cores=4, memory_gib=1.5 * gib("evaluation"))["epoch"]
    assert tight.seconds == pytest.approx(seconds("epoch"))
    assert tight.engine.endswith("one process")


def test_no_more_processes_than_batches() -> None:
    small = {"items": 1e4, "users": 1e4, "interactions": 1e5, "cores": 64}
    assert "one process on each of 40 machines" in stages(**small, machines=100)["epoch"].engine
    engine = stages(**small, machines=3, memory_gib=AMPLE)["epoch"].engine
    assert engine == "train.mode=sampled, torchrun, 13 processes on each of 3 machines"


def test_processes_share_the_scores_of_an_evaluation_but_not_the_rows() -> None:
    """A block of 256 of 10,000 users is one process's; each travels the graphs for itself."""
    travelled = 9e-8 * (4 * 8e6 + 3 * (8e6 + 1e7))
    scores = seconds("evaluation") - travelled
    assert scores == pytest.approx(3.6e-9 * 1e4 * 1e6)
    assert seconds("evaluation", cores=1000) == pytest.approx(travelled + scores / (40 * 0.7))


def test_processes_share_the_tables_but_not_the_evaluation() -> None:
    """Two million rows of 64 columns: weights, two moments and the best so far are 1.9 GiB."""
    one, four = stages(cores=1), stages(cores=1, machines=4)
    tables = 4 * 4 * 64 * 2e6 / GIB
    assert one["epoch"].memory_gib - four["epoch"].memory_gib == pytest.approx(0.75 * tables)
    assert one["evaluation"].memory_gib - four["evaluation"].memory_gib == pytest.approx(0.5 * tables)


def test_an_interaction_takes_more_where_indices_are_wide() -> None:
    """80 % train: 68 bytes each, and three edges of 24 bytes, or of 48 where int32 is too small."""

    def of_one(stage: str, low: float, high: float) -> float:
        return (gib(stage, interactions=high) - gib(stage, interactions=low)) * GIB / (high - low)

    for stage in ("item graphs", "epoch", "evaluation"):
        assert of_one(stage, 1e7, 1e9) == pytest.approx(0.8 * (68 + 3 * 24))
        assert of_one(stage, 1e10, 2e10) == pytest.approx(0.8 * (68 + 3 * 48))


def test_features_are_reduced_before_they_are_fused() -> None:
    """To 256 columns each: what is wider costs its own float32 rows, search and index only."""
    wide, wider = gib("epoch", feature_dim=1000), gib("epoch", feature_dim=2000)
    assert wider - wide == pytest.approx(2 * 4 * 1000 * 1e6 / GIB)
    work = seconds("item graphs", feature_dim=2000) / seconds("item graphs", feature_dim=1000)
    assert work == pytest.approx((2 * 2000 + 512) / (2 * 1000 + 512))


def test_the_verdict_names_what_does_not_fit() -> None:
    small, large = shop(items=1e4, users=1e4, interactions=1e5), shop(items=1e9)
    assert told(small) == "fits"
    assert told(large).startswith("does not fit: in one process item graphs ")
    assert told(shop(interactions=1e9)).startswith("does not fit: in one process prepare ")


def test_the_verdict_shows_by_how_much() -> None:
    tight = shop(cores=1, memory_gib=round(gib("evaluation"), 1) - 0.1)
    needed, room = f"evaluation {gib('evaluation'):.1f} GiB", f"a machine has {tight.memory_gib:.1f} GiB"
    line = told(tight)
    assert needed in line
    assert room in line
    assert "epoch 1" not in line
    enough = shop(cores=1, memory_gib=round(gib("evaluation"), 1))
    assert told(enough) == "fits"


def test_a_small_shop_is_travelled_whole_by_one_process() -> None:
    """Where that is less than a sampled step: .04 s, 6 us of an item and .05 us of an edge."""
    small = {"items": 9e3, "users": 9e3, "interactions": 9e4, "cores": 8}
    found = plan(shop(**small))
    assert "train.mode=full" in found.settings
    assert {stage.engine for stage in found.stages[2:]} == {"train.mode=full, one process"}
    edges = 4 * 7.2e4 + 3 * (7.2e4 + 9e4)
    assert seconds("epoch", **small) == pytest.approx(36 * (0.04 + 6e-6 * 9e3 + 5e-8 * edges))
    assert found.steps == 36
    for larger in ({"items": FULL_ITEMS}, {"users": 9e4, "interactions": 9e5}):
        assert "train.mode=sampled" in plan(shop(**{**small, **larger})).settings


def test_few_steps_are_told() -> None:
    found = plan(shop(items=4e4, users=1e5, interactions=1e6, cores=64, memory_gib=AMPLE))
    assert found.steps == 7
    assert found.warning
    assert found.warning.startswith("few steps: an epoch has 391 batches, of which 64 processes leave 7 ")
    assert found.warning.endswith("; with 3 processes (train.batches_per_step=3) there are 131")
    assert plan(shop(items=1e4, users=1e5, interactions=1e5, cores=1)).warning is None
    assert plan(shop(cores=39, memory_gib=AMPLE)).warning is None
    assert plan(shop(cores=40, memory_gib=AMPLE)).warning


@pytest.mark.parametrize("size", [{}, {"items": 4e4, "cores": 1}, {"items": 9e3, "users": 9e3}])
def test_the_settings_are_those_that_train(size: dict[str, Any]) -> None:
    found = plan(shop(**{"interactions": 1e5, **size}, dim=16, k=7, users_evaluated=50)).settings
    tiny = ["dataset.num_users=60", "dataset.num_items=40", "dataset.num_clusters=4"]
    config = load_config(PLANTED, [*found, *tiny])
    approximate = config.model.model_dump()["knn"]["approximate"]
    assert (approximate["method"], approximate["least_recall"]) == (
        ("ivf", 0.8) if size == {} else ("auto", 0.9)
    )
    data = config.dataset.load()
    trainer = Trainer(
        build_model(config.model, data), data, config.train, Evaluator(config.evaluate, data), 0
    )
    assert (trainer.links is not None) == (config.train.mode == "sampled") == (size.get("items") != 9e3)
    assert (config.train.shard_tables, config.train.batches_per_step) == ((False, 1) if size else (True, 2))
    assert next(trainer.epochs())["loss"] > 0
    assert [config.model.model_dump()[key] for key in ("embedding_dim", "feature_dim")] == [16, 256]
    assert (config.model.model_dump()["knn"]["k"], config.evaluate.max_users) == (7, 50)
