"""The switch to a newer model while requests run; what is broken is not switched to."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_world import ENCODE, client_of, serving, train_run
from starlette.testclient import TestClient

from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.serve.api.app import app_of, create_app
from anchorrec_graph.serve.api.holder import Holder, stamp_of
from anchorrec_graph.serve.api.logs import JsonLines
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.model import Model, make_model, open_catalog
from anchorrec_graph.serve.api.new_item import Encoders
from anchorrec_graph.serve.api.service import Service
from anchorrec_graph.serve.api.settings import ServeSettings
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.export import save_export

POLL = 0.03


def load(key: str, folder: Path) -> Model:
    return make_model(key, open_catalog(folder), None)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another seed."""
    return train_run(tmp_path_factory.mktemp("newer"), "train.seeds=[5]")


def point(link: Path, target: Path) -> None:
    """Make a link, or put it in another one's place with one rename."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    os.replace(fresh, link)


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.perf_counter() + seconds
    while not true():
        assert time.perf_counter() < deadline, "it never happened"
        time.sleep(0.01)


def best_of(client: TestClient) -> list[Any]:
    answer = client.post("/api/recommend", json={"user": "u1", "k": 5})
    assert answer.status_code == 200, answer.text
    return [(card["item_id"], card["score"]) for card in answer.json()["items"]]


def expected(folder: Path) -> list[Any]:
    table = Catalog.open(folder).recommend(["u1"], k=5)
    return list(zip(table["item_id"], table["score"], strict=True))


def test_with_requests_in_flight(api_run: Path, newer: Path, tmp_path: Path) -> None:
    """Every answer is wholly the old model's or wholly the new one's, in that order, and none fails."""
    link = tmp_path / "current"
    point(link, api_run)
    old, new = expected(api_run), expected(newer)
    assert old != new
    answers: list[list[Any]] = [[], [], []]
    stop = threading.Event()
    with serving(link, poll_seconds=POLL) as client:

        def ask(found: list[Any]) -> None:
            while not stop.is_set():
                found.append(best_of(client))

        threads = [threading.Thread(target=ask, args=(found,)) for found in answers]
        for thread in threads:
            thread.start()
        until(lambda: all(len(found) > 5 for found in answers))
        point(link, newer)
        until(lambda: all(found[-1] == new for found in answers))
        stop.set()
        for thread in threads:
            thread.join()
        assert "anchorrec_catalog_switches_total 1" in client.get("/metrics").text
    for found in answers:
        switched = found.index(new)
        assert switched > 5
        assert all(one == old for one in found[:switched])
        assert all(one == new for one in found[switched:])


def test_a_broken_newer_one(
    api_run: Path, newer: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old one goes on, /health tells, without a path, and a whole one is switched to after all."""
    caplog.set_level(logging.INFO, "anchorrec.serve")
    link, broken = tmp_path / "current", tmp_path / "broken"
    shutil.copytree(newer, broken)
    (broken / "seed-5" / "best.safetensors").write_bytes(b"damaged")
    point(link, api_run)
    old = expected(api_run)
    with serving(link, poll_seconds=POLL) as client:
        point(link, broken)
        until(lambda: client.get("/health").json()["status"] == "degraded")
        health = client.get("/health")
        assert health.status_code == 200
        assert health.json()["problems"] == {"a": "RunError"}
        assert str(tmp_path) not in health.text
        assert best_of(client) == old
        time.sleep(10 * POLL)
        assert "anchorrec_catalog_failed_switches_total 1" in client.get("/metrics").text  # not every time
        failed = [r for r in caplog.records if r.getMessage() == "switch failed"]
        assert "best.safetensors" in json.loads(JsonLines().format(failed[0]))["message"]
        point(link, newer)
        until(lambda: client.get("/health").json()["status"] == "ok")
        assert best_of(client) == expected(newer)


def test_back_to_the_old_one_clears_the_problem(api_run: Path, tmp_path: Path) -> None:
    link, empty = tmp_path / "current", tmp_path / "empty"
    empty.mkdir()
    point(link, api_run)
    with serving(link, poll_seconds=POLL) as client:
        point(link, empty)
        until(lambda: client.get("/health").json()["problems"] == {"a": "nothing there"})
        link.unlink()
        time.sleep(5 * POLL)
        assert best_of(client) == expected(api_run)
        point(link, api_run)
        until(lambda: client.get("/health").json()["problems"] == {})


def test_from_a_run_to_an_export(api_run: Path, newer: Path, tmp_path: Path) -> None:
    link, export = tmp_path / "current", tmp_path / "export"
    save_export(Catalog.from_run(newer).contents, export)
    point(link, api_run)
    with serving(link, poll_seconds=POLL) as client:
        assert best_of(client) == expected(api_run)
        point(link, export)
        exported = expected(export)
        until(lambda: best_of(client) == exported)
        assert [item for item, _ in exported] == [item for item, _ in expected(newer)]
        answer = client.post("/api/recommend", json={"history": ["i1", "i2"]})
        assert answer.status_code == 200


def test_a_newer_one_that_does_not_fit_the_encoders(api_run: Path, tmp_path: Path) -> None:
    other = train_run(tmp_path / "wide", "dataset.text_dim=9")
    link = tmp_path / "current"
    point(link, api_run)
    with serving(link, poll_seconds=POLL, encoders=ENCODE) as client:
        point(link, other)
        until(lambda: client.get("/health").json()["problems"] == {"a": "ConfigError"})
        assert best_of(client) == expected(api_run)


def test_files_that_are_being_written_are_left_alone(api_run: Path, newer: Path, tmp_path: Path) -> None:
    """A folder that changes at every look is loaded when it has come to rest."""
    folder = tmp_path / "run"
    shutil.copytree(api_run, folder)
    holder = Holder((folder,), load, Metrics())
    slot = holder.slots["a"]
    before = slot.model
    for number in range(5):
        (folder / "manifest.json").write_text("{" + " " * number)
        holder.look(slot)
        assert slot.model is before
        assert slot.problem is None
    shutil.rmtree(folder)
    shutil.copytree(newer, folder)
    holder.look(slot)
    assert slot.model is before
    holder.look(slot)
    assert slot.model is not before
    after = slot.model
    holder.look(slot)
    holder.look(slot)
    assert slot.model is after
    assert after.catalog.recommend(["u1"], k=5)["score"].to_list() == [score for _, score in expected(newer)]


def test_other_files_are_not_watched(api_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(api_run, folder)
    before = stamp_of(folder)
    (folder / "report.html").write_text("a report")
    (folder / "seed-0" / "checkpoint.safetensors").write_bytes(b"newer")
    assert stamp_of(folder) == before
    (folder / "seed-0" / "metrics.json").write_text("{}")
    assert stamp_of(folder) != before


def test_what_failed_is_tried_again_after_a_while(
    api_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a run whose data set is away for a moment: nothing in its folder changes when it is back."""
    link = tmp_path / "current"
    point(link, api_run)
    away, calls = [False], [0]

    def loader(key: str, folder: Path) -> Model:
        calls[0] += 1
        if away[0]:
            raise RunError("away")
        return load(key, folder)

    holder = Holder((link,), loader, Metrics())
    slot = holder.slots["a"]
    away[0] = True
    copied = tmp_path / "copy"
    shutil.copytree(api_run, copied)
    point(link, copied)
    for _ in range(4):
        holder.look(slot)
    assert (calls[0], slot.problem) == (2, "RunError")
    monkeypatch.setattr("anchorrec_graph.serve.api.holder.AGAIN", 0.0)
    away[0] = False
    holder.look(slot)
    assert (calls[0], slot.problem) == (3, None)


def test_a_start_that_fails(tmp_path: Path, api_run: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        create_app(ServeSettings((tmp_path / "none",)))
    with pytest.raises(RunError):
        create_app(ServeSettings((tmp_path,)))
    with pytest.raises(ConfigError, match=r"--encode text=tiny_text: does not fit the catalog"):
        create_app(ServeSettings((api_run,), encoders={"text": {"name": "tiny_text", "dim": 5}}))
    with pytest.raises(ConfigError, match="no features of that name; it has image, text"):
        create_app(ServeSettings((api_run,), encoders={"sound": {"name": "tiny_text"}}))
    with pytest.raises(ConfigError, match="--encode text: unknown encoder 'tiny_texd'"):
        create_app(ServeSettings((api_run,), encoders={"text": {"name": "tiny_texd"}}))


def test_the_second_model_switches_alone(api_run: Path, newer: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    point(link, api_run)
    metrics, settings = Metrics(), ServeSettings((api_run, link), poll_seconds=POLL)
    holder = Holder(settings.folders, load, metrics)
    first = holder.model("a")
    with client_of(app_of(Service(settings, holder, Encoders({}), metrics, {}))) as client:
        point(link, newer)
        new = expected(newer)
        until(lambda: best_of_b(client) == new)
    assert holder.model("a") is first


def best_of_b(client: TestClient) -> list[Any]:
    answer = client.post("/api/recommend", json={"model": "b", "user": "u1", "k": 5}).json()
    return [(card["item_id"], card["score"]) for card in answer["items"]]
