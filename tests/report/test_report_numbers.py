"""Numbers of the page against those of the functions that it calls."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from hostile import Runs, hostile_shop

from anchorrec_graph.report import diagnosis
from anchorrec_graph.report.blocks import TableBlock
from anchorrec_graph.report.curves import histories, term_curves
from anchorrec_graph.report.dataset import dataset_section
from anchorrec_graph.report.examples import example_users, explain_users
from anchorrec_graph.report.maps import AFTER, BEFORE, run_spaces
from anchorrec_graph.report.results import user_intervals
from anchorrec_graph.report.slices import run_slices
from anchorrec_graph.report.sources import Sources, read_sources


@pytest.fixture(scope="module")
def sources(runs: Runs) -> Sources:
    with hostile_shop():
        return read_sources([str(path) for path in runs])


def test_labels(runs: Runs) -> None:
    two = read_sources([f"first={runs.lightgcn}", str(runs.popularity)])
    assert [run.label for run in two.runs] == ["first", "popularity"]


def test_slices_agree_with_the_results_of_training(sources: Sources, runs: Runs) -> None:
    run = sources.runs[0]
    found = run_slices(run, ["Recall@5"])["all users"]["Recall@5"]
    saved = [json.loads((runs.anchorrec / f"seed-{s}/metrics.json").read_text()) for s in run.seeds]
    assert found.values == pytest.approx([result["test"]["Recall@5"] for result in saved])


def test_intervals_are_those_of_resampled_users(sources: Sources) -> None:
    mean, lower, upper = user_intervals(sources)["Recall@5"]["lightgcn"]
    values = sources.runs[1].results[0].per_user["Recall@5"].to_numpy()
    assert mean == pytest.approx(values.mean())
    rng = np.random.default_rng(7)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(2000)]
    assert (lower, upper) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)
    assert lower < mean < upper


def test_curves_hold_every_term_and_epoch(sources: Sources) -> None:
    of = histories(sources.runs[0])
    curves = term_curves(of[0], "Recall@5")
    assert set(curves) == {"ranking", "align", "preserve", "validation Recall@5"}
    assert [epoch for epoch, _ in curves["ranking"]] == [1, 2]
    assert curves["align"][0][1] == of[0][0]["terms"]["align"]
    assert histories(sources.runs[2]) == {}


def test_maps_are_of_the_right_weights(sources: Sources) -> None:
    run = sources.runs[0]
    stages = run_spaces(run, 1)
    assert set(stages[BEFORE]) == set(stages[AFTER]) > {"view/image", "view/text", "view/history", "final"}
    expected = run.embeddings(1).views["image"].item
    image = stages[AFTER]["view/image"]
    assert image.shape[1] == 8
    assert image.norm() == pytest.approx(expected.norm())
    assert not np.allclose(stages[BEFORE]["view/image"], image)
    assert set(run_spaces(sources.runs[1], 0)[AFTER]) == {"view/id"}  # which is the final space


def test_examples_go_from_least_to_most_active(sources: Sources) -> None:
    examples = explain_users(sources.runs[0], example_users(sources))
    counts = [example.purchases for example in examples]
    assert counts == sorted(counts)
    assert len(examples) == 3
    for example in examples:
        one = example.explanation
        assert sum(view.value for view in one.views) == pytest.approx(one.score, abs=1e-5)
        assert one.rank == 1


def test_card_counts_leaks(sources: Sources) -> None:
    section = dataset_section(sources)
    tables = [block for block in section.blocks if isinstance(block, TableBlock)]
    cells = {row[0].text: row[1].text for table in tables for row in table.grid.rows}
    assert cells["users"] == "60"
    assert cells["test pairs that are also trained on"].startswith("0 of ")
    assert [row[0].text for row in tables[1].grid.rows] == ["image", "text"]


def test_leaks_would_be_counted(sources: Sources) -> None:
    data = sources.task.data.clone()
    edges = data["user", "interacts", "item"]
    edges.test_edge_label_index = edges.edge_index[:, :5]
    leaky = sources._replace(comparison=sources.comparison._replace(task=sources.task._replace(data=data)))
    tables = [block for block in dataset_section(leaky).blocks if isinstance(block, TableBlock)]
    cells = {row[0].text: row[1].text for table in tables for row in table.grid.rows}
    assert cells["test pairs that are also trained on"] == "5 of 5"


def test_seeds_are_measured_as_far_as_time_allows(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    first = diagnosis.diagnose_sources(sources)[0]
    states = set(first.table.select("stage", "seed").rows())
    assert states == {("before", 0), ("after", 0), ("after", 1)}
    recall = first.table.filter(measure="recall", stage="after")["value"].to_list()
    saved = [json.loads((Path(first.folder) / f"seed-{s}/metrics.json").read_text()) for s in (0, 1)]
    assert len(recall) == len(saved) == 2
    assert statistics.fmean(recall) > 0
    monkeypatch.setattr(diagnosis, "MOST_STATES", 5)
    few = diagnosis.diagnose_sources(sources._replace(runs=sources.runs[:1] * 3))[0]
    assert set(few.table.select("stage", "seed").rows()) == {("before", 0), ("after", 0)}
