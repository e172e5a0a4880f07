"""Whole or not at all, and what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from odd_shop import write_prepared
from raw_shop import contents, fail_at

from anchorrec_graph.convert.pipeline import FORMATS, convert
from anchorrec_graph.errors import ConfigError, DataError

ROWS = [{"user_id": f"u{n % 3}", "item_id": f"i{n}", "rating": 3.0} for n in range(9)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    items = [{"item_id": f"i{n}", "title": "A\tB"} for n in range(9)]
    return write_prepared(tmp_path, {"rows": ROWS, "items": items, "split": True})


def raise_full() -> None:
    raise OSError(28, "No space left on device", "somewhere")


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_error_at_any_write_changes_nothing(tmp_path: Path, shop: Path, to: str, overwrite: bool) -> None:
    if overwrite:
        convert(shop, "mmrec" if to == "recbole" else "recbole", tmp_path / "out")
    old, count, failed = contents(tmp_path), 0, True
    while failed:
        count += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", fail_at(count, raise_full))
            try:
                convert(shop, to, tmp_path / "out", overwrite)
                failed = False
            except OSError:
                assert contents(tmp_path) == old
    assert count > 8
    convert(shop, to, tmp_path / "expected")
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")
    assert not list(tmp_path.glob("*.partial"))


def test_the_readme_names_the_manifest(tmp_path: Path, shop: Path) -> None:
    convert(shop, "recbole", tmp_path / "out")
    text = (tmp_path / "out/README.txt").read_text()
    assert text.startswith(f"Written by anchorrec convert --to recbole\nfrom {shop}, whose manifest.json ")
    assert hashlib.sha256((shop / "manifest.json").read_bytes()).hexdigest() in text


def test_what_is_refused(tmp_path: Path, shop: Path) -> None:
    with pytest.raises(ConfigError, match="unknown format 'recbol'; did you mean 'recbole'"):
        convert(shop, "recbol", tmp_path / "out")
    convert(shop, "mmrec", tmp_path / "out")
    with pytest.raises(DataError, match=r"out: exists; give another --out, or --overwrite"):
        convert(shop, "mmrec", tmp_path / "out")
    for taken in (shop, tmp_path / "raw", tmp_path / "raw/rows.jsonl"):
        with pytest.raises(DataError, match=r"exists and was not written by anchorrec convert"):
            convert(shop, "mmrec", taken, overwrite=True)
    with pytest.raises(
        DataError, match=r"manifest.json: no such file; make the folder with anchorrec prepare"
    ):
        convert(tmp_path / "out", "mmrec", tmp_path / "other")
    (shop / "users.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"users.parquet: 4 bytes, not"):
        convert(shop, "mmrec", tmp_path / "other")


def test_features_beyond_float32(tmp_path: Path, shop: Path) -> None:
    np.save(shop / "features/image.npy", np.full((9, 2), 1e300))
    with pytest.raises(DataError, match=r"image_feat.npy: a number is too large for float32"):
        convert(shop, "mmrec", tmp_path / "out")
    assert not (tmp_path / "out").exists()
