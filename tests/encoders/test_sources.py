from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from encoding_world import write_items
from hypothesis import given
from hypothesis import strategies as st

from anchorrec_graph.encoders.sources import files, read_items, texts
from anchorrec_graph.errors import ConfigError, DataError

TEXT = st.none() | st.text(max_size=6)


@given(
    st.lists(
        st.tuples(TEXT, st.none() | st.lists(TEXT, max_size=3), st.none() | st.integers(0, 9)), min_size=1
    )
)
def test_texts_are_what_plain_loops_make(
    rows: list[tuple[str | None, list[str | None] | None, int | None]],
) -> None:
    schema = {"title": pl.String, "tags": pl.List(pl.String), "year": pl.Int64}
    items = pl.DataFrame(rows, schema=schema, orient="row")
    found = texts(items, ["tags", "title", "year"])
    for row, (title, tags, year) in enumerate(rows):
        stripped = [strip(tag) for tag in tags or ()]
        parts = [" ".join(tag for tag in stripped if tag), strip(title), "" if year is None else str(year)]
        text = " ".join(part for part in parts if part)
        assert found.values[row] == (text or None)
        assert (row in found.missing) == (not text)


def strip(text: str | None) -> str:
    return pl.Series([text or ""], dtype=pl.String).str.strip_chars()[0]  # type: ignore[no-any-return]  # Unicode's white space


def test_the_default_columns_are_those_that_are_there() -> None:
    items = pl.DataFrame({"item_id": ["1"], "description": ["long"], "title": ["T"], "other": ["x"]})
    found = texts(items, None)
    assert found.values == ["T long"]
    assert found.recipe["columns"] == ["title", "description"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["titel"], "unknown column 'titel'; did you mean 'title'?"),
        (["raw"], "'raw' is Binary, not text"),
        ([], "none given"),
    ],
)
def test_columns_that_make_no_text(columns: list[str], message: str) -> None:
    items = pl.DataFrame({"item_id": ["1"], "title": ["T"], "raw": [b"x"]})
    with pytest.raises(ConfigError, match=message):
        texts(items, columns)


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_files_are_found_by_item_id(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.JPG", "b.txt", "c.d.png")
    items = pl.DataFrame({"item_id": ["a", "b", "c.d", "../a", "in/a"]})
    found = files(items, tmp_path / "in", None, frozenset({".jpg", ".png"}))
    assert [path and path.name for path in found.values] == ["a.JPG", None, "c.d.png", None, None]
    assert found.missing == {1: "no file", 3: "no file", 4: "no file"}
    touch(tmp_path / "in", "a.png")
    with pytest.raises(DataError, match=r"a\.png: item 'a' also has a\.JPG"):
        files(items, tmp_path / "in", None, frozenset({".jpg", ".png"}))


def test_files_are_found_by_a_column(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg")
    (tmp_path / "in" / "loop").symlink_to("loop")
    paths = ["a.jpg", "no.jpg", "https://x.org/a.jpg", "", None, "loop", "x" * 300, "a\0.jpg"]
    items = pl.DataFrame({"item_id": [str(row) for row in range(len(paths))], "image": paths})
    found = files(items, tmp_path / "in", "image", None)
    assert found.values == [tmp_path / "in" / "a.jpg", *[None] * 7]
    assert list(found.missing.values()) == [
        "no file", "URL, not fetched", "no path", "no path", "no file", "no file", "no file",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["../secret.jpg", "link.jpg", "/etc/passwd", "a/../../secret.jpg"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    touch(tmp_path, "secret.jpg")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    items = pl.DataFrame({"item_id": ["1"], "image": [path]})
    with pytest.raises(DataError, match="item '1' leaves the folder"):
        files(items, tmp_path / "in", "image", None)


def test_folders_and_columns_that_are_not_there(tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": ["1"], "n": [1]})
    with pytest.raises(ConfigError, match="no such folder"):
        files(items, tmp_path / "no", None, None)
    with pytest.raises(ConfigError, match="unknown column"):
        files(items, tmp_path, "image", None)
    with pytest.raises(ConfigError, match="must hold paths"):
        files(items, tmp_path, "n", None)


def test_a_folder_without_whole_items(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json: no such file"):
        read_items(tmp_path)
    write_items(tmp_path, item_id=[1, 2])
    with pytest.raises(DataError, match="needs rows and a text column 'item_id'"):
        read_items(tmp_path)
    (tmp_path / "items.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="no whole Parquet file"):
        read_items(tmp_path)
