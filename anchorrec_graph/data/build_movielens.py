"""Make the built-in data set from its sources: `python -m anchorrec_graph.data.build_movielens FOLDER`.

FOLDER holds interactions.tsv, items.jsonl, image_feat.npy, text_feat.npy and the GroupLens files in
raw/. Titles and genres are taken from raw/movies.csv, so that everything but the feature vectors is
GroupLens data under the GroupLens terms. The README written beside the files says what was measured.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.features import open_features
from anchorrec_graph.data.movielens import FEATURES
from anchorrec_graph.files import replacing

TARGET = Path(__file__).parent / "movielens_posters"
NEIGHBOURS = 10
STEP, ENOUGH = 64, 0.95  # dims: the smallest multiple of STEP that keeps this share of the neighbours

Matrix = NDArray[np.float64]


class Reduction(NamedTuple):
    """A reduced feature matrix and what the reduction keeps of the original."""

    rows: NDArray[np.float16]  # [I, d]
    original_dim: int
    energy: float  # share of the squared singular values
    overlap: float  # kNN overlap with the original
    centred_overlap: float  # the same at d dims, had the mean been taken off first


def neighbours(x: Matrix) -> NDArray[np.int64]:
    """The 10 nearest rows of each row of x [I, d] by cosine, without itself: [I, 10], in no order."""
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def overlap(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Mean share of common neighbours, mean_i |a_i & b_i| / k, of a and b [I, k]."""
    return float((a[:, :, None] == b[:, None, :]).any(axis=2).mean())


def principal_parts(x: Matrix) -> tuple[Matrix, Matrix]:
    """Coordinates U S [I, r] of x [I, d] in its singular directions and the energy kept by the first j [r].

    Each direction points to where its largest entry is positive, so that the signs are defined.
    """
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    sign = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)])
    return u * s * sign, np.cumsum(s**2) / np.sum(s**2)


def reduce(features: Matrix) -> Reduction:
    """Reduce rows [I, d] so that cosines survive: unit rows, singular vectors of the uncentred matrix.

    Taking the mean off turns every cosine, and so changes the neighbours before anything is dropped.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    original = neighbours(unit)
    parts, energy = principal_parts(unit)
    centred, _ = principal_parts(unit - unit.mean(axis=0))
    for dim in range(STEP, parts.shape[1] + STEP, STEP):
        rows = parts[:, :dim].astype(np.float16)
        kept = overlap(original, neighbours(rows.astype(np.float64)))
        if kept >= ENOUGH:
            break
    centred_kept = overlap(original, neighbours(centred[:, :dim]))
    return Reduction(rows, features.shape[1], float(energy[rows.shape[1] - 1]), kept, centred_kept)


def interactions_table(source: Path) -> pl.DataFrame:
    """user_id, item_id (MovieLens's), rating, timestamp, in the order of the source."""
    table = pl.read_csv(source / "interactions.tsv", separator="\t")
    return table.select(
        pl.col("user_id", "item_id").cast(pl.Int32), pl.col("rating").cast(pl.Float32), "timestamp"
    )


def items_table(source: Path) -> pl.DataFrame:
    """item_id, title, year (from the title), genres of the films, in the order of the feature rows."""
    kept = pl.read_ndjson(source / "items.jsonl").select(pl.col("item_id").cast(pl.Int32))
    if not kept["item_id"].is_sorted():
        raise ValueError("items.jsonl must be sorted by item_id: the loader finds items by binary search")
    movies = pl.read_csv(source / "raw" / "movies.csv", schema_overrides={"item_id": pl.Int32})
    year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int16)
    return kept.join(movies, on="item_id", how="left", maintain_order="left").select(
        "item_id", "title", year.alias("year"), "genres"
    )


def terms(source: Path) -> str:
    """The licence and citation sections of the GroupLens README, word for word."""
    text = (source / "raw" / "README.txt").read_text(encoding="utf-8")
    start, end = text.index("Usage License\n"), text.index("Further Information About GroupLens\n")
    return (
        "The ratings, titles and genres in this folder are a transformation of MovieLens ml-latest-small\n"
        "(September 26, 2018, https://grouplens.org/datasets/movielens/), distributed on the terms below,\n"
        "quoted from its README.txt.\n\n" + text[start:end].rstrip() + "\n"
    )


README = """# movielens_posters

Made by `python -m anchorrec_graph.data.build_movielens` from MovieLens ml-latest-small (2018): the films that
have a poster and a plot, then 5-core. {users:,} users, {items:,} films, {rows:,} ratings. Research use only,
see LICENSE-GroupLens.txt; cite Harper and Konstan 2015. No posters and no plots are in here.

- `interactions.parquet`: user_id, item_id (MovieLens's own), rating, timestamp (unix seconds).
- `items.parquet`: item_id, title, year (as in the title), genres. Row i belongs to feature row i.
- `image_feat.npy`: posters through EfficientNet-Lite0 (ImageNet weights), mean over the last feature map.
- `text_feat.npy`: title, genres, plot and director through all-MiniLM-L6-v2.

Features are float16. Rows were scaled to length 1 and reduced to the leading singular directions of the
*uncentred* matrix, the smallest multiple of {step} dims that keeps {enough:.0%} of each film's 10 nearest
neighbours by cosine. Centring first, as PCA does, turns the cosines and loses more neighbours at every number
of dims tried (32 to 384), so it was not done:

| features | dims | energy kept | kNN(10) overlap with the original | had they been centred |
|---|---|---|---|---|
{measured}

| file | bytes | sha256 |
|---|---|---|
{sums}
"""


def build(source: Path, target: Path = TARGET) -> None:
    """Write every file of the data set to `target`, each atomically, the README last."""
    interactions, items = interactions_table(source), items_table(source)
    reductions = {
        modality: reduce(np.asarray(open_features(source / name), dtype=np.float64))
        for modality, name in FEATURES.items()
    }
    with replacing(target / "interactions.parquet") as path:
        interactions.write_parquet(path, compression_level=19)
    with replacing(target / "items.parquet") as path:
        items.write_parquet(path, compression_level=19)
    for modality, reduction in reductions.items():
        with replacing(target / FEATURES[modality]) as path, open(path, "wb") as file:
            np.save(file, reduction.rows)
    with replacing(target / "LICENSE-GroupLens.txt") as path:
        path.write_text(terms(source), encoding="utf-8")
    names = ("interactions.parquet", "items.parquet", *FEATURES.values())
    readme = README.format(
        users=interactions["user_id"].n_unique(),
        items=len(items),
        rows=len(interactions),
        step=STEP,
        enough=ENOUGH,
        measured="\n".join(
            f"| {name} | {r.original_dim} -> {r.rows.shape[1]} | {r.energy:.3f} | {r.overlap:.3f} "
            f"| {r.centred_overlap:.3f} |"
            for name, r in reductions.items()
        ),
        sums="\n".join(_checksum(target / name) for name in names),
    )
    with replacing(target / "README.md") as path:
        path.write_text(readme, encoding="utf-8")


def _checksum(path: Path) -> str:
    content = path.read_bytes()
    return f"| {path.name} | {len(content):,} | {hashlib.sha256(content).hexdigest()} |"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m anchorrec_graph.data.build_movielens SOURCE_FOLDER")
    build(Path(sys.argv[1]))
