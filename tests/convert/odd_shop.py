"""A small shop with odd texts as a prepared folder, and what is in a prepared folder, by id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from anchorrec_graph.data.prepared import FEATURES, PreparedConfig
from anchorrec_graph.files import save_json
from anchorrec_graph.prepare.pipeline import prepare
from anchorrec_graph.prepare.settings import prepare_settings

ODD = st.sampled_from(
    ["", " ", '"', '"a" b', "a\tb", "x\ny", "\r", "é 漢 \U0001f600", "a  b", "NA", ",", "\\", "\u2028"]
)
texts = st.none() | ODD | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
ids = st.text(st.sampled_from("ab1é\U0001f600,'\"\\:_ \xa0"), min_size=1, max_size=4).filter(
    lambda text: text == text.strip(" ") and not text.startswith('"')
)
records = st.fixed_dictionaries(
    {
        "title": texts,
        "description": texts,
        "brand": texts,
        "categories": st.lists(texts.filter(bool), max_size=3),
        "price": st.none() | st.floats(0, 1e6, width=32),
        "shelf": texts,
    }
)


@st.composite
def shops(draw: st.DrawFn) -> dict[str, Any]:
    """Rows of interactions, items with their metadata, and settings."""
    users = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    items = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    pair = st.tuples(st.sampled_from(users), st.sampled_from(items))
    pairs = draw(st.lists(pair, min_size=1, max_size=12, unique=True))
    rated, timed = draw(st.booleans()), draw(st.booleans())
    rows = [
        {
            "user_id": user,
            "item_id": item,
            **({"rating": draw(st.floats(0, 5, width=32))} if rated else {}),
            **({"timestamp": draw(st.integers(-5, 2**40))} if timed else {}),
        }
        for user, item in pairs
    ]
    metadata = [{"item_id": item, **draw(records)} for item in items]
    return {"rows": rows, "items": metadata, "split": draw(st.booleans())}


def write_prepared(folder: Path, shop: dict[str, Any]) -> Path:
    """Prepare a shop with float16 features; `folder` may be used again."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for name in ("rows", "items"):
        lines = (f"{json.dumps(record)}\n" for record in shop[name])
        (raw / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    source = {"name": "table", "files": [str(raw / "rows.jsonl")], "items": [str(raw / "items.jsonl")]}
    columns = {
        setting: column
        for setting, column in (("rating_column", "rating"), ("time_column", "timestamp"))
        if column in shop["rows"][0]
    }
    split = {"split": "random"} if shop["split"] else {}
    values = {"source": {**source, **columns}, "keep_items": True, "max_reject_share": 1, **split}
    out = folder / "shop"
    manifest = prepare(prepare_settings(values, []), out, report=silent).manifest
    count = manifest["counts"]["items"]
    (out / FEATURES).mkdir()
    for modality, width in (("image", 3), ("text", 2)):
        matrix = np.random.default_rng(width).standard_normal((count, width)).astype(np.float16)
        np.save(out / FEATURES / f"{modality}.npy", matrix)
        save_json(out / FEATURES / f"{modality}.json", {"items_hash": manifest["items_hash"]})
    return out


def prepare_again(source: dict[str, Any], out: Path) -> Path:
    """`anchorrec prepare` of what was converted, with the settings that README.txt names."""
    prepare(prepare_settings({"source": source, "keep_items": True}, []), out, report=silent)
    return out


def pairs(folder: Path, user_ids: list[str], item_ids: list[str]) -> list[tuple[Any, ...]]:
    """User id, item id, rating, timestamp and label of every row, in order."""
    rows = pl.read_parquet(folder / "interactions.parquet")
    named = rows.select(
        pl.Series("user", user_ids).gather(rows["user"]), pl.Series("item", item_ids).gather(rows["item"])
    )
    return pl.concat([named, rows.drop("user", "item")], how="horizontal").rows()


def features(folder: Path, item_ids: list[str]) -> dict[str, dict[str, list[float]]]:
    """Modality -> item id -> its row, as float32."""
    raw = PreparedConfig(folder=folder).read()
    return {
        modality: dict(zip(item_ids, matrix.astype(np.float32).tolist(), strict=True))
        for modality, matrix in raw.features.items()
    }


def column(folder: Path, table: str, name: str) -> list[str]:
    return pl.read_parquet(folder / f"{table}.parquet")[name].to_list()


def silent(line: str) -> None:
    """No progress."""
