"""benchmarks/speed.py, scale.py, modes.py and parallel.py on shops of a second."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from tiny_runs import tiny_config

from anchorrec_graph.config import Config
from anchorrec_graph.train.ranks import ALONE

ROOT = Path(__file__).parents[2]


def benchmark(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module(name)


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return benchmark("speed", monkeypatch)


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("ANCHORREC_CACHE", "set by the benchmark")  # and set back after the test
    return benchmark("scale", monkeypatch)


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return benchmark("modes", monkeypatch)


def test_every_part_of_an_epoch_is_timed(
    speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(name: str, folder: Path) -> Config:
        assert name == "default"
        return tiny_config(folder, "model={name: anchorrec, embedding_dim: 8}")

    monkeypatch.setattr(speed, "baby_config", tiny)
    result = speed.measure("default", tmp_path, epochs=1)
    for part in ("build_s", "negatives_s", "epoch_s", "evaluate_s"):
        assert result[part] > 0
    flops, size = result["work"]["epoch_s"]
    assert flops > 0
    assert size > 0


def test_every_stage_of_a_shop_is_measured(scale: ModuleType) -> None:
    small, large = (scale.run(size, steps=2) for size in (200, 400))
    assert small["items"] == 200
    assert small["steps_run"] == min(2, small["steps_of_epoch"])
    for stage in scale.STAGES:
        assert small["stages"][stage]["seconds"] > 0
        assert small["stages"][stage]["peak_gib"] > 0
    (row,) = scale.growth([small, large])
    assert (row["from"], row["to"]) == (200, 400)
    assert set(row) == {"from", "to"} | {f"{s} {w}" for s in scale.STAGES for w in scale.MEASURES}


def test_growth_is_the_power_of_the_size(scale: ModuleType) -> None:
    stages = {stage: {"seconds": 2.0, "processor_s": 2.0, "peak_gib": 1.0} for stage in scale.STAGES}
    later = {stage: {"seconds": 16.0, "processor_s": 2.0, "peak_gib": 4.0} for stage in scale.STAGES}
    (row,) = scale.growth([{"items": 10, "stages": stages}, {"items": 40, "stages": later}])
    assert row["epoch seconds"] == pytest.approx(1.5)
    assert row["epoch peak_gib"] == pytest.approx(1.0)
    assert row["epoch processor_s"] == 0


def test_a_mode_is_its_settings(modes: ModuleType) -> None:
    train = modes.config_of("sampled-5-2", 1000).train
    assert (train.mode, train.num_neighbors, train.batches_per_step) == ("sampled", (5, 2), 1)
    train = modes.config_of("full-8", 1000).train
    assert (train.mode, train.batches_per_step) == ("full", 8)


def test_a_goal_is_set_by_the_whole_graphs(modes: ModuleType) -> None:
    curves = {
        "full": [{"epoch": 1, "seconds": 10.0, "recall": 0.1}, {"epoch": 2, "seconds": 20.0, "recall": 0.2}],
        "sampled-5-2": [
            {"epoch": 1, "seconds": 3.0, "recall": 0.15},
            {"epoch": 2, "seconds": 6.0, "recall": 0.199},
        ],
        "full-8": [{"epoch": 1, "seconds": 1.0, "recall": 0.05}],
    }
    reached = {row["mode"]: row["goal_s"] for row in modes.summary(curves)}
    assert reached == {"full": 20.0, "sampled-5-2": 6.0, "full-8": None}


def test_several_processes_are_compared_by_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel = benchmark("parallel", monkeypatch)
    alone = parallel.work(ALONE, "sharded", 120, 2)
    assert alone["rows_held"] == alone["rows"] == 240
    assert alone["steps_per_second"] > 0
    half = {**alone, "rows_held": 120}
    speeds = {("full", 1): [[{**alone, "steps_per_second": s}] for s in (2.0, 9.0, 1.0)]}
    speeds["full", 2] = [
        [{**half, "steps_per_second": s}, {**half, "rows_held": 130}] for s in (3.0, 4.0, 0.1)
    ]
    one, two = parallel.rows(speeds)
    assert (one["times_one"], two["times_one"]) == (1.0, 1.5)
    assert two["largest_share_of_rows"] == pytest.approx(130 / 240)
