from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anchorrec_graph.encoders.journal import Journal

KEY: dict[str, Any] = {"settings": {"name": "x"}, "identity": "1"}
HALF = np.dtype("float16")


def name(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def filled(path: Path, dim: int = 3) -> Journal:
    journal = Journal(path, KEY, HALF)
    journal.append([name("a"), name("b")], np.arange(2 * dim, dtype=HALF).reshape(2, dim))
    journal.append([name("c")], np.full((1, dim), 7, dtype=HALF))
    return journal


@pytest.mark.parametrize("dim", [1, 3])
def test_what_was_appended_is_read_back(tmp_path: Path, dim: int) -> None:
    rows = filled(tmp_path / "j", dim).rows.copy()
    again = Journal(tmp_path / "j", KEY, HALF)
    assert again.dim == dim
    assert again.index == {name("a"): 0, name("b"): 1, name("c"): 2}
    np.testing.assert_array_equal(again.rows, rows)
    np.testing.assert_array_equal(again.rows[2], np.full(dim, 7))


@pytest.mark.parametrize("lost", range(1, 140, 7))
def test_a_torn_end_costs_only_the_torn_records(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "j"
    journal = filled(path)
    record = journal.record.itemsize
    path.write_bytes(path.read_bytes()[:-lost])
    again = Journal(path, KEY, HALF)
    whole = max(3 - -(-lost // record), 0)
    assert list(again.index.values()) == list(range(whole))
    again.append([name("d")], np.full((1, 3), 9, dtype=HALF))
    assert Journal(path, KEY, HALF).rows[-1].tolist() == [9, 9, 9]


def test_a_damaged_record_and_those_after_it_are_dropped(tmp_path: Path) -> None:
    journal = filled(tmp_path / "j")
    data = bytearray((tmp_path / "j").read_bytes())
    data[journal.offset + journal.record.itemsize + 33] ^= 1
    (tmp_path / "j").write_bytes(data)
    assert list(Journal(tmp_path / "j", KEY, HALF).index) == [name("a")]


@pytest.mark.parametrize(("key", "dtype"), [({**KEY, "identity": "2"}, HALF), (KEY, np.dtype("float32"))])
def test_rows_of_another_key_or_dtype_are_dropped(tmp_path: Path, key: dict[str, Any], dtype: Any) -> None:
    filled(tmp_path / "j")
    journal = Journal(tmp_path / "j", key, dtype)
    assert (journal.index, journal.dim, len(journal.rows)) == ({}, None, 0)
    assert (tmp_path / "j").stat().st_size == 0


@pytest.mark.parametrize("data", [b"", b"{}\n", b"\xff\xfe", b'{"dim": -1}\n', b"[" * 5000])
def test_a_file_that_is_no_journal_starts_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "j").write_bytes(data)
    assert Journal(tmp_path / "j", KEY, HALF).index == {}
