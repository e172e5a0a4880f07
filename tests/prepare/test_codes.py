"""Ids as codes and as row numbers, both ways."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import naive_prepare
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorrec_graph.prepare.codes import encode, number_by_appearance
from anchorrec_graph.prepare.sources.base import INTERACTION_COLUMNS

ids = st.text(min_size=1, max_size=3)
rows = st.lists(st.tuples(ids, ids, st.none() | st.just(2.5), st.none() | st.integers(0, 9)), max_size=30)


@settings(max_examples=20)
@given(rows, st.integers(1, 12))
def test_codes_lead_back_to_the_ids_in_file_order(data: list[tuple[object, ...]], size: int) -> None:
    frame = pl.DataFrame(data, schema=INTERACTION_COLUMNS, orient="row")
    with TemporaryDirectory() as folder:
        pieces = []
        for start in range(0, len(frame), size):
            pieces.append(Path(folder) / f"{start:03d}.parquet")
            frame[start : start + size].write_parquet(pieces[-1])
        coded = encode(pieces)
    back = coded.rows.select(
        *(coded.ids[kind].gather(coded.rows[kind]).alias(f"{kind}_id") for kind in ("user", "item")),
        "rating",
        "timestamp",
    )
    assert back.rows() == data
    for kind in ("user", "item"):
        assert coded.ids[kind].is_unique().all()


@given(st.lists(st.integers(0, 8), max_size=30))
def test_numbers_by_appearance_are_their_twin(codes: list[int]) -> None:
    number, by_number = number_by_appearance(np.array(codes, dtype=np.uint32))
    assert (number.tolist(), by_number.tolist()) == naive_prepare.number_by_appearance(codes)
    assert by_number[number].tolist() == codes
