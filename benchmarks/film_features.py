"""How far the films' features, made anew by the commands of docs/data.md, agree with the earlier ones.

    python benchmarks/film_features.py FOLDER --shared ../shared/data/movielens_posters [--out results.json]

FOLDER is the prepared data set with its features text and image. For each modality: cosines row by row, the
overlap of 10 nearest neighbours, and how often a row's own earlier row is the nearest. Texts below .99 are
encoded again with other forms of their title (`forms`); the best cosine of each counts.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.features import open_features
from anchorrec_graph.encoders.text import MiniLM
from anchorrec_graph.files import save_json
from anchorrec_graph.train.environment import environment

NEIGHBOURS, NEAR = 10, 0.99
ARTICLES = "The|A|An|Les|La|Le|Il|El|Das|Der|Die"
Rows = NDArray[np.float64]


def unit(rows: NDArray[Any]) -> Rows:
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearest(rows: Rows) -> NDArray[np.int64]:
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]


def agreement(ours: Rows, theirs: Rows) -> dict[str, float]:
    cosine = (ours * theirs).sum(1)
    pairs = zip(nearest(ours), nearest(theirs), strict=True)
    shared = [len(set(mine) & set(other)) / NEIGHBOURS for mine, other in pairs]
    own = (ours @ theirs.T).argmax(1) == np.arange(len(ours))
    return {
        "rows": len(ours), "above": int((cosine > NEAR).sum()), "least": float(cosine.min()),
        "mean": float(cosine.mean()), "overlap": float(np.mean(shared)), "own_row_nearest": float(own.mean()),
    }  # fmt: skip


def forms(title: str) -> list[str]:
    """Without brackets, what is in them, around a colon, article in front; year off by one or none."""
    match = re.fullmatch(r"(.*) \((\d{4})\)", title)
    name, year = (match[1], int(match[2])) if match else (title, None)
    inside = [re.sub(r"^a\.k\.a\. ", "", part) for part in re.findall(r"\(([^)]*)\)", name)]
    names = {name, re.sub(r" \([^)]*\)", "", name), *inside}
    for one in list(names):
        names.add(re.sub(rf"^(.*), ({ARTICLES})\b(.*)$", r"\2 \1\3", one))
        for mark in (":", " - "):
            parts = one.split(mark)
            names |= {parts[0].strip(), parts[-1].strip()}
    years = [] if year is None else [year, year - 1, year + 1]
    return [*sorted(names), *(f"{one} ({number})" for one in sorted(names) for number in years)]


def best_cosine(film: dict[str, Any], theirs: Rows, encoder: MiniLM) -> float:
    rest = [film[name] for name in ("genres", "plot", "director") if film[name]]
    return float(
        (unit(encoder.encode([" ".join([form, *rest]) for form in forms(film["title"])])) @ theirs).max()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = (args.shared / "items.jsonl").read_text(encoding="utf-8").splitlines()
    films = {str(film["item_id"]): film for film in map(json.loads, lines)}
    order = [films[str(item)] for item in pl.read_parquet(args.folder / "items.parquet")["item_id"]]
    rows = [film["item"] for film in order]
    result: dict[str, Any] = {}
    for modality in ("text", "image"):
        ours = unit(open_features(args.folder / "features" / f"{modality}.npy"))
        theirs = unit(open_features(args.shared / f"{modality}_feat.npy")[rows])
        result[modality] = agreement(ours, theirs)
        if modality == "text":
            encoder = MiniLM()
            encoder.load()
            below = np.flatnonzero((ours * theirs).sum(1) <= NEAR)
            best = {order[row]["title"]: best_cosine(order[row], theirs[row], encoder) for row in below}
            result["other titles"] = {"above": sum(value > NEAR for value in best.values()), "best": best}
    for name, found in result.items():
        print(name, {key: value for key, value in found.items() if key != "best"})
    if args.out:
        save_json(args.out, {**result, "environment": environment()})


if __name__ == "__main__":
    main()
