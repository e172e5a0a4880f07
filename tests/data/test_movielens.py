"""The built-in data set: its contents, its promises, and the script that makes it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from anchorrec_graph.data import build_movielens
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.movielens import FEATURES, MovieLensConfig

FOLDER = Path(build_movielens.TARGET)


def test_loads_with_the_known_counts() -> None:
    data = MovieLensConfig().load()
    assert data["user"].num_nodes == 597
    assert data["item"].num_nodes == 1850
    parts = [
        data[INTERACTS][name] for name in ("edge_index", "val_edge_label_index", "test_edge_label_index")
    ]
    assert sum(part.shape[1] for part in parts) == 56_219
    assert data.modalities == ("image", "text")


def test_rows_join_films_to_their_ratings() -> None:
    raw = MovieLensConfig().read()
    first = raw.items.row(0, named=True)
    assert first == {
        "item_id": "1",
        "title": "Toy Story (1995)",
        "year": 1995,
        "genres": "Adventure|Animation|Children|Comedy|Fantasy",
    }
    table = pl.read_parquet(FOLDER / "interactions.parquet")
    assert (raw.user_ids[raw.interactions.user] == table["user_id"].cast(pl.String).to_numpy()).all()
    item_ids = raw.items["item_id"].to_numpy()
    assert (item_ids[raw.interactions.item] == table["item_id"].cast(pl.String).to_numpy()).all()
    assert set(np.unique(raw.interactions.rating)) <= set(np.arange(0.5, 5.5, 0.5))
    assert np.bincount(raw.interactions.item).min() >= 5
    assert raw.items["year"].null_count() == 0


def test_the_folder_is_small_and_holds_no_posters_plots_or_people() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    expected = {
        "interactions.parquet",
        "items.parquet",
        "LICENSE-GroupLens.txt",
        "README.md",
        *FEATURES.values(),
    }
    assert names == expected
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5_000_000
    assert pl.read_parquet_schema(FOLDER / "items.parquet").keys() == {"item_id", "title", "year", "genres"}


def test_the_readme_names_the_files_as_they_are() -> None:
    sums = re.findall(r"^\| (\S+) \| [\d,]+ \| ([0-9a-f]{64}) \|$", (FOLDER / "README.md").read_text(), re.M)
    assert len(sums) == 4
    for name, digest in sums:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_the_terms_travel_with_the_data() -> None:
    text = (FOLDER / "LICENSE-GroupLens.txt").read_text()
    for phrase in ("redistribute the data set, including transformations", "commercial", "Harper"):
        assert phrase in text


def test_overlap_counts_common_neighbours() -> None:
    a, b = np.array([[1, 2], [3, 4]]), np.array([[2, 9], [4, 3]])
    assert build_movielens.overlap(a, b) == pytest.approx(3 / 4)


def test_neighbours_are_by_cosine_and_without_self() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4)) * rng.uniform(0.1, 9, size=(30, 1))
    for i, found in enumerate(build_movielens.neighbours(x)):
        cosine = [x[i] @ row / np.linalg.norm(x[i]) / np.linalg.norm(row) for row in x]
        order = sorted((j for j in range(30) if j != i), key=lambda j: -cosine[j])
        assert set(found) == set(order[:10])


def test_principal_parts_keep_inner_products_and_fix_signs() -> None:
    x = np.random.default_rng(0).standard_normal((12, 5))
    parts, energy = build_movielens.principal_parts(x)
    assert parts @ parts.T == pytest.approx(x @ x.T)
    assert energy[-1] == pytest.approx(1)
    assert np.abs(parts[:, :2]).sum() > np.abs(parts[:, 3:]).sum()


def make_source(folder: Path) -> None:
    rng = np.random.default_rng(0)
    ids = list(range(10, 150))
    (folder / "raw").mkdir(parents=True)
    (folder / "raw" / "README.txt").write_text(
        "Summary\n\nUsage License\n====\nresearch only\n\nCitation\n====\nHarper\n\n"
        "Further Information About GroupLens\n====\n"
    )
    pl.DataFrame(
        {"item_id": ids, "title": [f"Film {i} (1990)" for i in ids], "genres": ["Drama"] * 140}
    ).write_csv(folder / "raw" / "movies.csv")
    pl.DataFrame({"item_id": ids, "plot": ["secret"] * 140}).write_ndjson(folder / "items.jsonl")
    pl.DataFrame(
        {
            "user": [0, 0],
            "item": [0, 1],
            "rating": [4.0, 3.5],
            "timestamp": [5, 6],
            "user_id": [7, 7],
            "item_id": [10, 11],
        }
    ).write_csv(folder / "interactions.tsv", separator="\t")
    for name in FEATURES.values():
        np.save(folder / name, (rng.standard_normal((140, 128)) + 1).astype(np.float32))


def test_the_script_builds_from_a_source_and_builds_the_same_twice(tmp_path: Path) -> None:
    make_source(tmp_path / "source")
    for target in ("a", "b"):
        build_movielens.build(tmp_path / "source", tmp_path / target)
    made = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert made.keys() == {path.name for path in FOLDER.iterdir()}
    items = pl.read_parquet(tmp_path / "a" / "items.parquet")
    assert items.row(0) == (10, "Film 10 (1990)", 1990, "Drama")
    assert b"secret" not in b"".join(made.values())
    terms = made["LICENSE-GroupLens.txt"].decode()
    assert "research only" in terms
    assert "Harper" in terms
    assert "Summary" not in terms
    rows = np.load(tmp_path / "a" / "image_feat.npy")
    original = np.load(tmp_path / "source" / "image_feat.npy").astype(np.float64)
    assert rows.dtype == np.float16
    kept = build_movielens.overlap(
        build_movielens.neighbours(original), build_movielens.neighbours(rows.astype(np.float64))
    )
    assert kept >= 0.95


def test_unsorted_films_are_refused(tmp_path: Path) -> None:
    make_source(tmp_path)
    pl.DataFrame({"item_id": [11, 10]}).write_ndjson(tmp_path / "items.jsonl")
    with pytest.raises(ValueError, match="sorted by item_id"):
        build_movielens.build(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
