"""anchorrec graph and doctor"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from command import Command

from anchorrec_graph.cli.doctor import MIB
from anchorrec_graph.config import load_config
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.train.memory import forecast


def test_graphs(anchorrec: Command, config: Path) -> None:
    report = anchorrec("graph", "-c", config, "-k", 3, "--json").json()
    data = load_config(config).dataset.load()
    rows = {row["graph"]: row for row in report["graphs"]}
    assert list(rows) == ["users", "items", "image kNN (in)", "text kNN (in)"]
    assert (rows["users"]["nodes"], rows["items"]["nodes"], rows["image kNN (in)"]["nodes"]) == (60, 40, 40)
    edges = data[INTERACTS].edge_index
    assert rows["users"]["edges"] == edges.shape[1]
    assert rows["users"]["mean"] == pytest.approx(edges.shape[1] / 60)
    assert rows["items"]["max"] == int(edges[1].bincount().max())
    assert rows["text kNN (in)"]["edges"] == 3 * 40
    assert report["overlap"][0]["graphs"] == "image, text"


def test_graph_tables_fit_a_terminal(anchorrec: Command, config: Path) -> None:
    done = anchorrec("graph", "-c", config)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("graphs\n")
    assert "│ hubness " in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_graph_without_modalities(anchorrec: Command, config: Path) -> None:
    report = anchorrec("graph", "-c", config, "-o", "dataset.modalities=[]", "--json").json()
    assert [row["graph"] for row in report["graphs"]] == ["users", "items"]
    assert report["overlap"] == []


def test_neighbours_of_an_item(anchorrec: Command, config: Path) -> None:
    report = anchorrec("graph", "-c", config, "-k", 3, "--item", "i5", "--json").json()
    assert report["item"] == "i5"
    rows = report["neighbours"]
    assert [row["graph"] for row in rows] == ["image"] * 3 + ["text"] * 3
    cosines = [row["cosine"] for row in rows[:3]]
    assert cosines == sorted(cosines, reverse=True)
    assert all(row["title"].endswith(f"no {row['item_id'][1:]}") for row in rows)
    shown = anchorrec("graph", "-c", config, "-k", 3, "--item", "i5").out
    assert shown.startswith(f"nearest to {report['title']}\n")


@pytest.mark.parametrize(("item", "suffix"), [("i5", "svg"), ("i5", "png"), (None, "svg")])
def test_draw(anchorrec: Command, config: Path, tmp_path: Path, item: str | None, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / f"new/figure.{suffix}"
    chosen = ["--item", item] if item else []
    done = anchorrec("graph", "-c", config, *chosen, "--draw", out)
    assert done.code == 0
    assert done.out.endswith(f"drawn to {out}\n")
    assert out.stat().st_size > 1000
    if suffix == "svg":
        assert ("Nearest to:" if item else "in-degree") in out.read_text(encoding="utf-8")
    assert "drawn" not in anchorrec("graph", "-c", config, *chosen, "--draw", out, "-q").out
    anchorrec("graph", "-c", config, *chosen, "--draw", out, "--json").json()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--item", "x"], 3, "unknown item 'x'; ids look like 'i0'"),
        (["--draw", "a.pdf"], 2, "--draw a.pdf: the file must end in .svg or .png"),
        (["-o", "dataset.modalities=[]", "--draw", "a.svg"], 2, "--draw: the data set has no modality"),
    ],
)
def test_graph_errors(
    anchorrec: Command, config: Path, arguments: list[str], code: int, message: str
) -> None:
    assert anchorrec("graph", "-c", config, *arguments).error(code).startswith(message)


def test_draw_without_matplotlib(
    anchorrec: Command, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    line = anchorrec("graph", "-c", config, "--draw", tmp_path / "a.svg").error(1)
    assert line == "figures need matplotlib, which is missing: pip install anchorrec_graph[report]"


def test_doctor(anchorrec: Command) -> None:
    report = anchorrec("doctor", "--json").json()
    assert report["packages"]["torch"]
    assert "torch-scatter" in report["packages"]
    assert report["machine"]["cores"] >= 1
    assert "memory_mib" not in report
    done = anchorrec("doctor")
    assert (done.code, done.err) == (0, "")
    assert "│ torch " in done.out
    assert "machine" not in anchorrec("doctor", "-q").out.splitlines()


def test_doctor_forecasts_memory(anchorrec: Command, config: Path) -> None:
    parts = anchorrec("doctor", "-c", config, "-o", "model.embedding_dim=64", "--json").json()["memory_mib"]
    settings = load_config(config, ["model.embedding_dim=64"])
    expected = forecast(settings, settings.dataset.load())
    assert parts == {part: round(size / MIB, 1) for part, size in expected.items()}
    shown = anchorrec("doctor", "-c", config).out
    assert f"memory forecast for {config}" in shown
    assert "│ total " in shown


def test_doctor_does_not_ignore_overrides(anchorrec: Command) -> None:
    line = anchorrec("doctor", "-o", "train.epochs=1").error(2)
    assert line == "-o changes a configuration; name it with --config FILE"


def test_doctor_plans_a_shop(anchorrec: Command) -> None:
    words = "doctor", "--plan", "items=1e8", "users=1e8", "interactions=1e10", "machines=16"
    report = anchorrec(*words, "--json").json()
    assert [stage["name"] for stage in report["stages"]] == ["prepare", "item graphs", "epoch", "evaluation"]
    assert report["verdict"].startswith("does not fit: in one process prepare ")
    shown = anchorrec(*words)
    assert (shown.code, shown.err) == (0, "")
    title = "1e+08 items, 1e+08 users, 1e+10 interactions on 16 machines of 2 cores and 24 GiB"
    assert title in shown.out
    assert report["verdict"] in shown.out
    (line,) = (line for line in shown.out.splitlines() if line.startswith("-o "))
    assert shlex.split(line)[1::2] == report["settings"]
    assert f"an epoch has {report['steps_per_epoch']} optimiser steps" in shown.out
    assert report["warning"] is None


def test_doctor_warns_of_few_steps(anchorrec: Command) -> None:
    words = "doctor", "--plan", "items=1e4", "users=1e4", "interactions=1e5", "cores=8"
    warning = anchorrec(*words, "--json").json()["warning"]
    assert warning.startswith("few steps: an epoch has 40 batches, of which 8 processes leave 5 steps ")
    assert warning in anchorrec(*words).out


@pytest.mark.parametrize("given", [["-c", "none.yaml"], ["-o", "train.epochs=1"], ["-q"]])
def test_doctor_plans_no_configuration(anchorrec: Command, given: list[str]) -> None:
    words = "doctor", "--plan", "items=1e4", "users=1e4", "interactions=1e5"
    name = given[0].replace("-c", "--config")
    line = anchorrec(*words, *given).error(2)
    assert line.startswith(f"leave {name} out: --plan reads no configuration")
    assert "give sizes as KEY=VALUE, of items=N users=N " in line
    both = anchorrec(*words, "-q", "-o", "train.epochs=1").error(2)
    assert both.startswith("leave -o and -q out: ")


def test_doctor_names_the_keys_of_a_plan(anchorrec: Command) -> None:
    shown = " ".join(anchorrec("doctor", "--help").out.split())
    assert "items=N users=N interactions=N machines=1 cores=2 memory_gib=24" in shown


def test_doctor_takes_sizes_for_a_plan_only(anchorrec: Command) -> None:
    assert anchorrec("doctor", "items=1e8").error(2) == "'items=1e8': sizes belong to --plan"
    assert "users: is missing" in anchorrec("doctor", "--plan", "items=1e8").error(2)
