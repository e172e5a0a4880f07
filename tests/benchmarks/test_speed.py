"""benchmarks/speed.py, time_to_recall.py, scale.py, modes.py and parallel.py on shops of a second."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_runs import tiny_config

from anchorrec_graph.config import Config
from anchorrec_graph.files import locked
from anchorrec_graph.train.ranks import ALONE
from anchorrec_graph.tune.trial import without_test

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
    def tiny(path: Path, folder: Path) -> Config:
        assert path.name == "movielens.yaml"
        return tiny_config(folder, "model={name: anchorrec, embedding_dim: 8}")

    monkeypatch.setattr(speed, "baby_config", tiny)
    result = speed.measure("default", tmp_path, epochs=1)
    for part in ("build_s", "negatives_s", "epoch_s", "evaluate_s"):
        assert result[part] > 0
    flops, size = result["work"]["epoch_s"]
    assert flops > 0
    assert size > 0


def test_a_curve_has_a_point_for_every_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = benchmark("time_to_recall", monkeypatch)
    settings = "train.epochs=2", "train.metric=Recall@20", "evaluate.metrics=[Recall@20]"
    monkeypatch.setattr(curves, "baby_config", lambda _, folder: tiny_config(folder, *settings))
    curves.curve("default", tmp_path, patience=5)
    points = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["epoch"] for point in points] == [1, 2]
    assert 0 < points[0]["seconds"] < points[1]["seconds"]
    assert 0 < points[1]["recall@20"] <= 1


def test_the_last_curve_sets_the_recall_to_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = benchmark("time_to_recall", monkeypatch)

    def result(name: str, *points: tuple[float, float]) -> dict[str, object]:
        keys = ("epoch", "seconds", "recall@20")
        rows = [dict(zip(keys, (n, *point), strict=True)) for n, point in enumerate(points, 1)]
        return {"implementation": name, "points": rows}

    other = result("other", (50.0, 0.1), (100.0, 0.2), (150.0, 0.2))
    fast, slow = result("fast", (4.0, 0.1), (8.0, 0.3)), result("slow", (9.0, 0.19))
    _, _, *rows = curves.table([fast, slow, other]).splitlines()
    assert rows[0] == "| fast | 0.3000 | 2 | 8 | 8 | 2 | 0.080 |"
    assert rows[1] == "| slow | 0.1900 | 1 | 9 | not reached |  |  |"
    assert rows[2] == "| other | 0.2000 | 2 | 100 | 100 | 2 | 1.000 |"


def test_a_program_that_fails_ends_the_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    curves = benchmark("time_to_recall", monkeypatch)
    with pytest.raises(SystemExit, match="exited with 3 after 0 epochs"):
        curves.run("broken", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


def test_nothing_to_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = benchmark("time_to_recall", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["time_to_recall.py", "--only"])
    with pytest.raises(SystemExit) as ended:
        curves.main()
    assert ended.value.code == 2
    assert "error: --only without a name leaves nothing to run" in capsys.readouterr().err


def test_every_stage_of_a_shop_is_measured(scale: ModuleType) -> None:
    small, large = (scale.run(size, steps=1, whole=True) for size in (200, 400))
    assert small["items"] == 200
    steps = {**dict.fromkeys(("epoch", *scale.FEWER), 1), scale.LAST: large["steps_of_epoch"]}
    assert large["steps_of_epoch"] == 2
    assert large["steps_run"] == steps
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


@pytest.mark.parametrize("steps", [1, 3, 4, 9, 10, 79])
def test_the_parts_of_an_epoch_are_all_of_it(modes: ModuleType, steps: int) -> None:
    parts = modes.parts(steps)
    assert (len(parts), sum(parts)) == (modes.PARTS, steps)
    assert max(parts) - min(parts) <= 1


def test_a_curve_counts_whole_epochs(
    modes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, "train.batch_size=40")
    done, seen = 0, list[int]()
    step = modes.Trainer.step

    def counted(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        return step(*arguments)

    def recall(trainer: Any) -> float:
        seen.append(done)
        if len(seen) == 2 * modes.PARTS:
            raise KeyboardInterrupt
        return 0.1

    monkeypatch.setattr(modes.Trainer, "step", counted)
    monkeypatch.setattr(modes, "recall", recall)
    with pytest.raises(KeyboardInterrupt):
        modes.curve(config, "tiny", 0, 1e9)
    pairs = without_test(config.dataset.load())["user", "interacts", "item"].edge_index.shape[1]
    steps = -(-pairs // 40)
    assert steps % modes.PARTS
    assert (seen[modes.PARTS - 1], seen[-1]) == (steps, 2 * steps)


def test_curves_of_two_processes_are_both_kept(
    modes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "CACHE", tmp_path / "modes.json")
    point = {"epoch": 0.25, "seconds": 1.0, "recall": 0.1}
    with locked(tmp_path / "modes.lock"):
        second = threading.Thread(target=modes.keep, args=("shop", "full", [point]))
        second.start()
        time.sleep(0.2)
        first = {"shop": {"curves": {"full-8": [point]}}}
        (tmp_path / "modes.json").write_text(json.dumps(first))
    second.join()
    kept = json.loads((tmp_path / "modes.json").read_text())["shop"]
    assert kept["curves"] == {"full-8": [point], "full": [point]}
    assert [row["mode"] for row in kept["summary"]] == ["full-8", "full"]


def test_several_processes_are_compared_by_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel = benchmark("parallel", monkeypatch)
    alone = parallel.work(ALONE, "sharded", 120, 2)
    assert alone["rows_held"] == alone["rows"] == 240
    assert alone["steps_per_second"] > 0
    half = {**alone, "rows_held": 120}
    speeds = {parallel.Start("full", 1, False): [[{**alone, "steps_per_second": s}] for s in (2.0, 9.0, 1.0)]}
    speeds[parallel.Start("full", 2, False)] = [
        [{**half, "steps_per_second": s}, {**half, "rows_held": 130}] for s in (3.0, 4.0, 0.1)
    ]
    speeds[parallel.Start("full", 2, True)] = [[{**alone, "steps_per_second": s} for s in (1.5, 1.75)]]
    one, two, apart = parallel.rows(speeds)
    assert (one["times_one"], two["times_one"], apart["times_one"]) == (1.0, 1.5, 1.625)
    assert two["largest_share_of_rows"] == pytest.approx(130 / 240)
