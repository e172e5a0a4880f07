"""Exports: the same answers as the run, damage noticed, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from shop import make_catalog
from tiny_runs import tiny_config

from anchorrec_graph.errors import RunError
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.export import ARRAYS, MANIFEST, save_export
from anchorrec_graph.train.fit import fit

SETTINGS = ["model.name=anchorrec", "model.history.weight=5", "model.history.dim=8", "train.epochs=2"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, Path]:
    folder = tmp_path_factory.mktemp("export")
    config = tiny_config(folder, *SETTINGS)
    fit(config, config.dataset.load(), folder / "run")
    catalog = Catalog.from_run(folder / "run")
    save_export(catalog.contents, folder / "shop", onnx=True)
    return catalog, folder / "shop"


def test_an_export_answers_like_its_run(exported: tuple[Catalog, Path]) -> None:
    catalog, folder = exported
    other = Catalog.open(folder)
    assert_frame_equal(other.recommend(), catalog.recommend())
    assert other.card == json.loads(json.dumps(catalog.card, default=str))
    history, user = catalog.item_ids[:4], str(catalog.user_ids[3])
    assert_frame_equal(other.recommend_for(history), catalog.recommend_for(history))  # but for rounding
    by = {"image": 0.5, "text": 0.3, "history": 0.2}
    assert_frame_equal(other.similar_items(history, by=by), catalog.similar_items(history, by=by))
    reasons = [one.explain(history[0], user=user) for one in (other, catalog)]
    assert reasons[0].rank == reasons[1].rank
    assert reasons[0].score == pytest.approx(reasons[1].score, abs=1e-6)
    assert [p.item_id for p in reasons[0].purchases or []] == [p.item_id for p in reasons[1].purchases or []]
    features = {"text": catalog.contents.features["text"][2].numpy()}
    ours, theirs = other.place(features, user=user), catalog.place(features, user=user)
    assert (ours.rank, ours.candidates) == (theirs.rank, theirs.candidates)
    assert ours.parts == pytest.approx(theirs.parts, abs=1e-6)
    assert_frame_equal(ours.similar["final"], theirs.similar["final"])


@pytest.mark.parametrize("model", ["lightgcn", "ease", "vbpr"])
def test_models_that_cannot_fold_in_are_exported_with_the_reason(model: str, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, f"model={model}", "train.epochs=1")
    fit(config, config.dataset.load(), tmp_path / "run")
    catalog = Catalog.from_run(tmp_path / "run")
    save_export(catalog.contents, tmp_path / "shop")
    other = Catalog.from_export(tmp_path / "shop")
    assert_frame_equal(other.recommend(), catalog.recommend())
    assert other.contents.attachment == catalog.contents.attachment != ""
    assert isinstance(other.contents.fold_in, str) == (model != "lightgcn")


def test_the_onnx_scorer_ranks_like_the_catalog(exported: tuple[Catalog, Path]) -> None:
    catalog, folder = exported
    session = onnxruntime.InferenceSession(folder / "scorer.onnx", providers=["CPUExecutionProvider"])
    users, rows = catalog.user_ids[:6].tolist(), torch.arange(6)
    known = np.zeros((6, len(catalog.items)), dtype=bool)
    place, item = catalog.contents.known.select(rows)
    known[place, item] = True
    inputs = {"user": catalog.space.user[:6].numpy(), "known": known, "k": np.array([5])}
    items, scores = session.run(["items", "scores"], inputs)
    expected = catalog.recommend(users, k=5)
    assert [catalog.item_ids[i] for i in items.flatten()] == expected["item_id"].to_list()
    np.testing.assert_allclose(scores.flatten(), expected["score"], atol=1e-5)


def test_the_card_says_what_a_reader_needs(exported: tuple[Catalog, Path]) -> None:
    text = (exported[1] / "README.md").read_text(encoding="utf-8")
    for part in ("# anchorrec on planted", "Recall@5", "not stated", "| image |", "training_pairs"):
        assert part in text


def test_a_folder_that_is_there_is_not_overwritten(exported: tuple[Catalog, Path]) -> None:
    catalog, folder = exported
    with pytest.raises(RunError, match="is there already"):
        save_export(catalog.contents, folder)


def test_a_failed_export_leaves_nothing(
    exported: tuple[Catalog, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="no space"):
        save_export(exported[0].contents, tmp_path / "shop")
    assert not list(tmp_path.iterdir())


def damaged(source: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_damage_is_noticed(exported: tuple[Catalog, Path], tmp_path: Path) -> None:
    for number, name in enumerate((ARRAYS, "items.parquet", "users.parquet", "README.md")):
        folder = damaged(exported[1], tmp_path / f"{number}")
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(RunError, match=f"{name}: is missing or not as it was exported"):
            Catalog.from_export(folder)
        (folder / name).unlink()
        with pytest.raises(RunError, match=f"{name}: is missing"):
            Catalog.from_export(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99, this version reads 3"),
        ({"files": {"../../etc/passwd": "0"}}, "outside the folder"),
        ({"files": 3}, "is no manifest"),
        ({"layout": {}}, "is no whole export"),
        ({"layout": {"views": {"x": 0}}}, "is no whole export"),
    ],
)
def test_a_manifest_that_lies(
    exported: tuple[Catalog, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = damaged(exported[1], tmp_path / "shop")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **change}))
    with pytest.raises(RunError, match=message):
        Catalog.from_export(folder)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(RunError, match="is no manifest"):
        Catalog.from_export(folder)


def test_a_catalog_of_embeddings_can_be_exported(tmp_path: Path) -> None:
    catalog = make_catalog()
    save_export(catalog.contents, tmp_path / "shop")
    assert Catalog.from_export(tmp_path / "shop").recommend().equals(catalog.recommend())
