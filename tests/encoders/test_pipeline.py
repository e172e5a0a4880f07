from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from encoding_world import Colours, Letters, stored_rows, write_items
from PIL import Image

from anchorrec_graph.encoders.pipeline import encode_items
from anchorrec_graph.encoders.sources import Sources, files, texts
from anchorrec_graph.encoders.store import open_stored, paths
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.files import locked
from anchorrec_graph.graph.knn import unit_rows

TITLES = ["alpha", "beta", "gamma ray", "alpha", "epsilon"]


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    Letters.calls.clear()


def encoded() -> list[str]:
    return [text for batch in Letters.calls for text in batch]


def run(folder: Path, titles: list[Any], ids: list[str] | None = None, **options: Any) -> dict[str, Any]:
    items = write_items(folder, item_id=ids or [str(row) for row in range(len(titles))], title=titles)
    encoder = options.pop("encoder", Letters())
    return encode_items(folder, "text", items, texts(items, None), encoder, batch_size=2, **options)


def expected(titles: list[str], scale: float = 1) -> np.ndarray[Any, Any]:
    return np.array([Letters(scale=scale).row(title) for title in titles])


def test_every_item_has_the_row_of_its_text_and_equal_texts_are_encoded_once(tmp_path: Path) -> None:
    sidecar = run(tmp_path, TITLES)
    np.testing.assert_array_equal(stored_rows(tmp_path, "text"), expected(TITLES))
    assert sorted(encoded()) == sorted(set(TITLES))
    assert (sidecar["encoded"], sidecar["reused"]) == (4, 0)
    assert sidecar["duplicates"] == {"rows": 1, "examples": [["0", "3"]]}
    stored = open_stored(paths(tmp_path, "text"))
    assert stored.rows.dtype == np.float16
    assert isinstance(stored.rows, np.memmap)
    assert stored.table["item_id"].to_list() == ["0", "1", "2", "3", "4"]
    assert stored.sidecar["recipe"]["columns"] == ["title"]
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == [
        "text.json", "text.npy", "text.rows.parquet",
    ]  # fmt: skip


def test_unchanged_texts_are_not_encoded_again_in_any_order(tmp_path: Path) -> None:
    run(tmp_path, TITLES)
    Letters.calls.clear()
    titles = ["new", "epsilon", "changed", "alpha", "gamma ray"]
    sidecar = run(tmp_path, titles, ids=["n", "4", "1", "0", "2"])
    assert sorted(encoded()) == ["changed", "new"]
    assert (sidecar["encoded"], sidecar["reused"]) == (2, 3)
    np.testing.assert_array_equal(stored_rows(tmp_path, "text"), expected(titles))
    assert sidecar["items_hash"] == open_stored(paths(tmp_path, "text")).sidecar["items_hash"]


@pytest.mark.parametrize(
    "options",
    [{"encoder": Letters(weights="b")}, {"encoder": Letters(scale=2)}, {"dtype": "float32"}],
)
def test_other_weights_settings_or_dtype_encode_everything_again(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    run(tmp_path, TITLES)
    Letters.calls.clear()
    sidecar = run(tmp_path, TITLES, **options)
    assert len(encoded()) == 4
    assert sidecar["dtype"] == options.get("dtype", "float16")
    scale = options["encoder"].scale if "encoder" in options else 1
    np.testing.assert_array_equal(stored_rows(tmp_path, "text"), expected(TITLES, scale))


@pytest.mark.parametrize("broken", ["text.npy", "text.rows.parquet", "text.json"])
def test_features_that_do_not_belong_together_are_not_reused(tmp_path: Path, broken: str) -> None:
    run(tmp_path, TITLES)
    path = tmp_path / "features" / broken
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    Letters.calls.clear()
    run(tmp_path, TITLES)
    assert len(encoded()) == 4
    np.testing.assert_array_equal(stored_rows(tmp_path, "text"), expected(TITLES))


class Stop(Exception):
    pass


def stopping(after: int) -> Any:
    def report(done: int, total: int) -> None:
        if done >= after:
            raise Stop

    return report


def test_a_call_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    titles = [f"{'title'[: 1 + row % 5]} {row}" for row in range(9)]
    with pytest.raises(Stop):
        run(tmp_path, titles, report=stopping(4))
    before = encoded()
    assert len(before) == 4
    assert not (tmp_path / "features" / "text.npy").exists()
    Letters.calls.clear()
    sidecar = run(tmp_path, titles)
    assert sorted(before + encoded()) == sorted(titles)
    assert (sidecar["encoded"], sidecar["reused"]) == (5, 4)
    whole = run(tmp_path / "whole", titles)
    assert whole["hash"] == sidecar["hash"]


def test_a_journal_of_other_weights_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(tmp_path, TITLES, report=stopping(2))
    Letters.calls.clear()
    run(tmp_path, TITLES, encoder=Letters(scale=3))
    assert len(encoded()) == 4
    np.testing.assert_array_equal(stored_rows(tmp_path, "text"), expected(TITLES, 3))


def test_missing_rows_are_the_mean_of_the_others_or_zero(tmp_path: Path) -> None:
    titles = ["alpha", None, "gamma ray", "  "]
    sidecar = run(tmp_path, titles)
    rows = stored_rows(tmp_path, "text")
    np.testing.assert_allclose(rows[1], rows[[0, 2]].mean(axis=0))
    np.testing.assert_array_equal(rows[1], rows[3])
    missing = {"policy": "mean", "rows": 2, "reasons": {"empty text": 2}, "examples": ["1", "3"]}
    assert sidecar["missing"] == missing
    run(tmp_path, titles, policy="zero")
    rows = stored_rows(tmp_path, "text")
    assert unit_rows(torch.from_numpy(rows))[1].tolist() == [True, False, True, False]
    assert open_stored(paths(tmp_path, "text")).table["missing"].to_list() == [None, "empty text"] * 2
    with pytest.raises(DataError, match=r"item '1' \(row 2\): empty text \(and 1 more items\)"):
        run(tmp_path, titles, policy="refuse")
    with pytest.raises(DataError, match="no item has an input"):
        run(tmp_path, [None, ""])


def test_what_the_encoder_finds_unreadable_is_missing_and_the_rest_of_its_batch_is_not(
    tmp_path: Path,
) -> None:
    titles = ["alpha", "unreadable", "gamma"]
    sidecar = run(tmp_path, titles)
    assert sidecar["missing"]["reasons"] == {"says so": 1}
    assert sidecar["encoded"] == 2
    np.testing.assert_array_equal(stored_rows(tmp_path, "text")[[0, 2]], expected(["alpha", "gamma"]))
    with pytest.raises(DataError, match="item '1'"):
        run(tmp_path, titles, policy="refuse")


@pytest.mark.parametrize(
    ("scale", "dtype", "message"),
    [
        (1e5, "float16", "text 'alpha': the row's largest number, 5e\\+05, does not fit float16"),
        (1e39, "float32", "NaN or infinity"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, scale: float, dtype: Any, message: str) -> None:
    with np.errstate(over="ignore"), pytest.raises(DataError, match=message):
        run(tmp_path, ["alpha"], encoder=Letters(scale=scale), dtype=dtype)


class Wrong(Letters):
    def encode(self, batch: Any) -> Any:
        return {"one": np.ones(3), "few": np.ones((1, 3)), "list": [[1.0]] * len(batch)}.get(
            self.weights, np.ones((len(batch), len(batch[0])), dtype=np.float32)
        )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("one", r"returned \[3\] for 2 inputs"),
        ("few", r"returned \[1, 3\] for 2 inputs"),
        ("list", "returned list for 2 inputs"),
        ("uneven", "returned 4 columns, before it 9"),
    ],
)
def test_an_encoder_that_returns_no_rows(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, ["gamma ray", "alpha", "beta"], encoder=Wrong(weights=kind))


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "../x", "ids", "text_feat", "-x"])
def test_names_that_cannot_be_a_modality(tmp_path: Path, name: str) -> None:
    items = write_items(tmp_path, item_id=["1"], title=["a"])
    with pytest.raises(ConfigError, match="--modality"):
        encode_items(tmp_path, name, items, texts(items, None), Letters())


def test_two_processes_do_not_make_one_modality(tmp_path: Path) -> None:
    run(tmp_path, TITLES)
    with locked(tmp_path / "features" / ".text.journal"), pytest.raises(DataError, match="another process"):
        run(tmp_path, TITLES)


def test_pictures_are_known_by_their_content(tmp_path: Path) -> None:
    home = tmp_path / "in"
    home.mkdir()
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255)), ("d", (0, 0, 255))):
        Image.new("RGB", (5, 3), colour).save(home / f"{name}.png")
    (home / "e.png").write_bytes((home / "a.png").read_bytes()[:50])
    items = write_items(tmp_path, item_id=["a", "b", "c", "d", "e"])

    def encode() -> dict[str, Any]:
        return encode_items(tmp_path, "image", items, sources(), Colours(), policy="zero")

    def sources() -> Sources:
        return files(items, home, None, Colours.suffixes)

    sidecar = encode()
    rows = [[255, 0, 0], [0, 0, 255], [0, 0, 0], [0, 0, 255], [0, 0, 0]]
    np.testing.assert_array_equal(stored_rows(tmp_path, "image"), rows)
    reasons = sidecar["missing"]["reasons"]
    assert reasons.pop("no file") == 1
    assert [reason.split(" (")[0] for reason in reasons] == ["damaged"]
    assert sidecar["duplicates"]["examples"] == [["b", "d"]]
    (home / "b.png").rename(home / "c.png")
    sidecar = encode()
    assert (sidecar["encoded"], sidecar["reused"]) == (0, 2)
    np.testing.assert_array_equal(stored_rows(tmp_path, "image"), [rows[row] for row in (0, 2, 1, 1, 2)])


def test_refused_pictures_are_named_before_anything_is_encoded(tmp_path: Path) -> None:
    home = tmp_path / "in"
    home.mkdir()
    for name, size in (("a", 4), ("b", 20), ("c", 30)):
        Image.new("RGB", (size, size)).save(home / f"{name}.png")
    items = write_items(tmp_path, item_id=["a", "b", "c"])
    encoder = Colours(max_pixels=100)
    with pytest.raises(DataError, match=r"b\.png: 20 x 20 pixels .* \| .*c\.png: 30 x 30 pixels"):
        encode_items(tmp_path, "image", items, files(items, home, None, None), encoder)
    assert not (tmp_path / "features" / "image.npy").exists()


def test_the_sidecar_says_what_a_prepared_folder_checks(tmp_path: Path) -> None:
    run(tmp_path, TITLES)
    path = tmp_path / "features" / "text.json"
    sidecar = json.loads(path.read_text())
    assert pl.read_parquet(tmp_path / "features" / "text.rows.parquet").columns == [
        "item_id",
        "input",
        "missing",
    ]
    path.write_text(json.dumps({**sidecar, "items_hash": "0"}))
    with pytest.raises(DataError, match="make 'text' again"):
        open_stored(paths(tmp_path, "text"))
