"""The whole way from raw files to a folder: what it holds, counts and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_shop import contents, make, shop_settings, silent, write_shop

from anchorrec_graph.data.prepared import PreparedConfig, check_folder, items_hash
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.prepare.pipeline import survey
from anchorrec_graph.prepare.settings import PrepareSettings, prepare_settings


def table(tmp_path: Path, text: str, **values: Any) -> PrepareSettings:
    path = tmp_path / "rows.csv"
    path.write_text("user_id,item_id,rating,time\n" + text, encoding="utf-8")
    source = {"name": "table", "files": [str(path)], "rating_column": "rating", "time_column": "time"}
    return prepare_settings({"source": source, "max_reject_share": 1, **values}, [])


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    config = shop_settings(
        tmp_path / "raw", min_rating=2, user_core=6, item_core=5, split={"name": "random", "seed": 1}
    )
    manifest = make(config, tmp_path / "out").manifest
    read = {entry["kind"]: 0 for entry in manifest["read"]}
    for entry in manifest["read"]:
        read[entry["kind"]] += entry["rows"]
    counts = manifest["counts"]
    assert read == {"interactions": 200, "items": 14}
    assert counts["interactions"] == 200 - sum(entry["rows"] for entry in manifest["dropped"])
    assert {entry["step"] for entry in manifest["dropped"]} == {"min_rating", "duplicates", "core"}
    assert sum(manifest["split"].values()) == counts["interactions"]
    assert counts["density"] == counts["interactions"] / (counts["users"] * counts["items"])
    raw = PreparedConfig(folder=tmp_path / "out").read()
    assert np.bincount(raw.interactions.user).min() >= 6
    assert np.bincount(raw.interactions.item).min() >= 5
    assert raw.interactions.rating is not None
    assert raw.interactions.rating.min() >= 2
    assert manifest["items_hash"] == items_hash(raw.items)
    check_folder(tmp_path / "out")
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == manifest


interactions = st.lists(
    st.tuples(st.sampled_from("pqrst"), st.sampled_from("vwxyz"), st.integers(1, 5), st.integers(0, 9)),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=12)
@given(interactions)
def test_ids_lead_back_to_the_raw_rows(rows: list[tuple[str, str, int, int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = "".join(",".join(map(str, row)) + "\n" for row in rows)
        make(table(Path(folder), text), Path(folder) / "out")
        raw = PreparedConfig(folder=Path(folder) / "out").read()
    users, items, (user, item, rating, time) = raw.user_ids, raw.items["item_id"], raw.interactions
    assert rating is not None
    assert time is not None
    back = list(
        zip(users[user].tolist(), items.gather(item).to_list(), rating.tolist(), time.tolist(), strict=True)
    )
    assert back == rows
    assert users.tolist() == list(dict.fromkeys(row[0] for row in rows))
    assert items.to_list() == list(dict.fromkeys(row[1] for row in rows))


def test_columns_that_rows_lack(tmp_path: Path) -> None:
    manifest = make(table(tmp_path, "a,x,,7\nb,x,2,\n"), tmp_path / "out").manifest
    raw = PreparedConfig(folder=tmp_path / "out").read()
    assert manifest["columns_left_out"] == {"timestamp": 1}
    assert raw.interactions.time is None
    assert raw.interactions.rating is not None
    assert np.isnan(raw.interactions.rating).tolist() == [True, False]
    make(table(tmp_path, "a,x,,\n"), tmp_path / "none")
    assert pl.read_parquet(tmp_path / "none/interactions.parquet").columns == ["user", "item"]


def test_malformed_rows_are_counted_and_sampled(tmp_path: Path) -> None:
    text = "a,x,5,1\n" + "a,y,bad,1\n" * 30 + f"{'u' * 300},x,5,1\n" + "b,x,1e300,1\n"
    manifest = make(table(tmp_path, text), tmp_path / "out").manifest
    found = {entry["reason"]: entry["rows"] for entry in manifest["rejected"]}
    assert sum(found.values()) == 32
    assert max(found.values()) == 30
    samples = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert len(samples) == 20 + 2
    assert samples[0]["row"] == 2
    assert "bad" in samples[0]["text"]
    assert manifest["counts"]["interactions"] == 1


def test_too_many_malformed_rows_fail_and_leave_samples(tmp_path: Path) -> None:
    text, out = "a,x,5,1\n" * 3 + "a,y,bad,1\n", tmp_path / "out"
    with pytest.raises(DataError) as error:
        make(table(tmp_path, text, max_reject_share=0.24), out)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/rows.csv: row 4: ")
    assert "1 of 4 are malformed, more than max_reject_share 0.24 allows" in message
    assert f"samples: {out}.partial/rejects.jsonl" in message
    (sample,) = (tmp_path / "out.partial/rejects.jsonl").read_text().splitlines()
    assert "bad" in sample
    assert not out.exists()
    assert make(table(tmp_path, text, max_reject_share=0.25), out).made
    assert not (tmp_path / "out.partial").exists()
    with pytest.raises(DataError) as error:
        survey(table(tmp_path, text, max_reject_share=0.24), silent)
    assert "samples" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("", {}, "hold no well-formed row"),
        (
            "a,x,1,1\n",
            {"min_rating": 4},
            r"no interaction is left after min_rating \(1 rows: rating below 4\)",
        ),
        ("a,x,,1\n", {"min_rating": 4}, r"after min_rating \(1 rows: no rating\)"),
        ("a,x,1,1\n", {"item_core": 2}, r"after core \(1 rows: item with fewer than 2 rows\)"),
        (
            "a,x,1,1\na,x,2,2\n",
            {"duplicates": "refuse"},
            "user 'a' with item 'x' occurs more than once; keep",
        ),
        ("a,x,1,1\na,y,2,\n", {"split": "leave_last"}, "the split 'leave_last' needs timestamps"),
        ("a,x,1,1\n", {"split": "cold_users"}, "leaves none to train on"),
    ],
)
def test_what_cannot_be_prepared(tmp_path: Path, text: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(table(tmp_path, text, **values), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_reports_the_same_and_writes_nothing(tmp_path: Path) -> None:
    config = shop_settings(tmp_path / "raw", user_core=6, split="leave_last")
    before = contents(tmp_path)
    lines: list[str] = []
    found = survey(config, lines.append)
    assert contents(tmp_path) == before
    assert lines[0] == f"{tmp_path}/raw/a.csv: 100 rows of interactions read"
    made = make(config, tmp_path / "out").manifest
    del made["files"]
    assert found == made


def test_stored_splits_are_what_training_uses(tmp_path: Path) -> None:
    config = shop_settings(tmp_path / "raw", split="leave_last")
    make(config, tmp_path / "stored")
    make(shop_settings(tmp_path / "raw"), tmp_path / "free")
    splits = [
        PreparedConfig.model_validate({"folder": tmp_path / name, "split": split}).load().manifest["split"]
        for name, split in (("stored", "random"), ("free", "leave_last"), ("free", "random"))
    ]
    assert splits[0] == splits[1] != splits[2]


def test_items_without_interactions_are_kept_when_asked_for(tmp_path: Path) -> None:
    make(shop_settings(tmp_path / "raw"), tmp_path / "without")
    make(shop_settings(tmp_path / "raw", keep_items=True), tmp_path / "with")
    without, items = (pl.read_parquet(tmp_path / name / "items.parquet") for name in ("without", "with"))
    assert items[: len(without)].equals(without)
    assert items[len(without) :].rows() == [("B014", "Thing 14"), ("B013", "Thing 13"), ("B012", "Thing 12")]
    assert without.filter(item_id="B000")["title"].to_list() == [None]  # has no metadata


def test_pseudonyms_hide_every_user_and_are_the_same_for_the_same_key(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "raw")
    path = tmp_path / "raw/a.csv"
    path.write_text(path.read_text() + "buyer-7-name,B001,bad,5\n")
    users = {}
    for name, key in (("one", b"k" * 16), ("same", b"k" * 16), ("other", b"l" * 16)):
        (tmp_path / f"{name}.key").write_bytes(key)
        config = prepare_settings({"source": source, "pseudonymise": tmp_path / f"{name}.key"}, [])
        manifest = make(config, tmp_path / name).manifest
        assert len(manifest["rejected"]) == 1
        users[name] = pl.read_parquet(tmp_path / name / "users.parquet")["user_id"].to_list()
        for content in contents(tmp_path / name).values():
            assert b"buyer" not in content
            assert key not in content
    assert users["one"] == users["same"]
    assert not set(users["one"]) & set(users["other"])
    plain = prepare_settings({"source": source}, [])
    make(plain, tmp_path / "plain")
    names = [(tmp_path / name / "interactions.parquet").read_bytes() for name in ("one", "plain")]
    assert names[0] == names[1]


def test_what_was_read_for_pseudonyms_hides_users_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"0123456789abcdef")
    source = write_shop(tmp_path / "raw")
    values = {"source": source, "pseudonymise": tmp_path / "key", "user_core": 1000}
    with pytest.raises(DataError, match="no interaction is left"):
        make(prepare_settings(values, []), tmp_path / "out")
    found = contents(tmp_path / "out.partial")
    assert len(found) >= 3
    for content in found.values():
        assert b"buyer" not in content


def test_keys_must_be_long_enough(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"0123456789abcde")
    config = shop_settings(tmp_path / "raw", pseudonymise=tmp_path / "key")
    with pytest.raises(ConfigError, match=r"key: 15 bytes are too few for a key, at least 16"):
        make(config, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"none: the key cannot be read"):
        make(config.model_copy(update={"pseudonymise": tmp_path / "none"}), tmp_path / "out")


def test_features_of_the_source_come_along(tmp_path: Path) -> None:
    folder = tmp_path / "mmrec"
    folder.mkdir()
    (folder / "shop.inter").write_text("userID\titemID\n0\t3\n0\t1\n1\t3\n1\t0\n2\t2\n", encoding="utf-8")
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.save(folder / "image_feat.npy", rows)
    source = {"name": "mmrec", "files": [str(folder)]}
    make(prepare_settings({"source": source, "user_core": 2}, []), tmp_path / "out")
    raw = PreparedConfig(folder=tmp_path / "out").read()
    assert raw.items["item_id"].to_list() == ["3", "1", "0"]
    assert raw.features["image"].tolist() == rows[[3, 1, 0]].tolist()
