"""Which items a map shows, numbers and colours."""

from __future__ import annotations

import polars as pl
import pytest

from anchorrec_graph.errors import DataError
from anchorrec_graph.report.categories import OTHER, item_categories
from anchorrec_graph.report.sample import highlights, sample_items
from anchorrec_graph.testing import tiny_data


def films(rows: int = 40) -> pl.DataFrame:
    genres = ["Drama|War", "Comedy", "Drama", None]
    return pl.DataFrame(
        {
            "item_id": [str(row) for row in range(rows)],
            "title": [f"film {row}" for row in range(rows)],
            "year": list(range(1960, 1960 + rows)),
            "genres": [genres[row % 4] for row in range(rows)],
        }
    )


def test_text_that_covers_most_items_is_chosen() -> None:
    found = item_categories(films())
    assert found is not None
    assert (found.column, found.shown) == ("genres", ["Drama", "Comedy"])
    assert found.labels[:4] == ["Drama", "Comedy", "Drama", OTHER]


def test_names_are_no_kinds() -> None:
    assert item_categories(films().select("item_id", "title")) is None
    unlike = films().select("item_id", code=pl.col("item_id") + "x")
    assert item_categories(unlike) is None


def test_a_column_can_be_named() -> None:
    found = item_categories(films(), "year")
    assert found is not None
    assert len(found.shown) == 4  # bands
    assert OTHER not in found.labels
    few = films().with_columns(band=pl.int_range(pl.len()) % 9)
    numbers = item_categories(few, "band")
    assert numbers is not None
    assert numbers.shown == ["0", "1", "2", "3", "4", "5"]
    with pytest.raises(DataError, match="did you mean 'year'"):
        item_categories(films(), "yaer")


def test_lists_show_their_first_value() -> None:
    table = films().with_columns(pl.col("genres").str.split("|"))
    found, text = item_categories(table, "genres"), item_categories(films(), "genres")
    assert found is not None
    assert text is not None
    assert found.labels == text.labels


def test_popular_items_are_numbered() -> None:
    data = tiny_data()
    counts = data["user", "interacts", "item"].edge_index[1].bincount(minlength=data["item"].num_nodes)
    rows = [highlight.item for highlight in highlights(data)]
    rest = [count for row, count in enumerate(counts.tolist()) if row not in rows]
    assert min(counts[rows].tolist()) >= max(rest)
    assert len(rows) == 8
    (named,) = highlights(data, ["item 3", "item 3"])
    assert named == (3, "Item 3")


def test_sample_keeps_what_is_numbered() -> None:
    rows = sample_items(1000, 50, [7, 3]).tolist()
    assert rows[:2] == [7, 3]
    assert len(set(rows)) == len(rows) == 50
    assert rows == sample_items(1000, 50, [7, 3]).tolist()
    assert sorted(sample_items(10, 50, [4]).tolist()) == list(range(10))
