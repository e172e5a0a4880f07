"""Blocks of lines: every cut gives the same lines, and every damage is named."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import write

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import lines
from anchorrec_graph.prepare.sources.lines import LONGEST, read_blocks


def read_lines(path: Path, chunk: int = 1 << 22, **options: bool) -> list[tuple[int, str]]:
    found = []
    for block in read_blocks(path, Rejects(), chunk=chunk, **options):
        assert block.data.endswith(b"\n")
        found += list(enumerate(block.data.decode().split("\n")[:-1], start=block.first))
    return found


@settings(max_examples=60)
@given(st.text("aé\n\r \U0001f600", min_size=1), st.integers(1, 9), st.booleans(), st.booleans())
def test_every_cut_gives_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int, packed: bool, mark: bool
) -> None:
    data = text.encode("utf-8-sig" if mark else "utf-8")
    path = write(tmp_path_factory.mktemp("lines") / "a", gzip.compress(data) if packed else data)
    expected = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if text.endswith("\n"):
        assert read_lines(path, max(chunk, 3)) == list(enumerate(expected, start=1))
    else:  # the last line has no end of its own, so a carriage return stays
        assert read_lines(path, max(chunk, 3))[:-1] == list(enumerate(expected, start=1))[:-1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a: the file is empty"),
        (b"one\nt\xe9o\n", r"a: line 2: not UTF-8 \(.* at byte 2 of the line\); save it as UTF-8"),
        ("one\n".encode("utf-16"), r"a: line 1: not UTF-8 \(.* at byte 1 of the line\)"),
        (
            gzip.compress(b"one\n" * 9, mtime=0)[:-9],
            "a: the gzip file ends early after [0-9]+ unpacked bytes; copy it again",
        ),
        (
            gzip.compress(b"one\n", mtime=0)[:-8] + b"12345678",
            "a: the gzip file is damaged after [0-9]+ unpacked bytes",
        ),
        (gzip.compress(b"one\n", mtime=0) + b"more", "a: the gzip file is damaged after 0 unpacked bytes"),
    ],
)
def test_damage_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_lines(write(tmp_path / "a", data))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; name a file"):
        read_lines(tmp_path)
    with pytest.raises(DataError, match="none: no such file"):
        read_lines(tmp_path / "none")


def test_a_damaged_gzip_gives_its_first_blocks(tmp_path: Path) -> None:
    whole = b"".join(f"{number * 7919 % 100_003}\n".encode() for number in range(50_000))
    path = write(tmp_path / "a", gzip.compress(whole)[:-5000])
    blocks = read_blocks(path, Rejects(), chunk=1000)
    assert whole.startswith(next(blocks).data)
    with pytest.raises(DataError, match=r"ends early after [0-9,]{6,} unpacked bytes"):
        list(blocks)


def test_legacy_lines_are_latin_1_where_they_are_not_utf_8(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"caf\xe9\n" + "café\n".encode())
    assert read_lines(path, legacy=True) == [(1, "café"), (2, "café")]


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_may_be_as_long_as_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 10)
    for length, kept in ((9, True), (10, True), (11, False), (25, False)):
        path = write(tmp_path / "a", "a\n" + "b" * length + "\nc\n" + "d" * length + end)
        for chunk in range(1, 11):  # at most the limit, as in use
            rejects, found = Rejects(), []
            for block in read_blocks(path, rejects, chunk=chunk):
                found += list(enumerate(block.data.decode().split("\n")[:-1], start=block.first))
            long = [] if kept else [2, 4]
            assert [number for number, _ in found] == [n for n in (1, 2, 3, 4) if n not in long]
            assert [(reject.row, reject.text[0]) for reject in rejects.samples] == list(
                zip(long, "bd", strict=False)
            )


def test_a_bomb_of_one_line_does_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(16):
            file.write(bytes(1 << 24))
        file.write(b"\nlast\n")
    rejects = Rejects()
    tracemalloc.start()
    blocks = [block.data for block in read_blocks(path, rejects)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert blocks == [b"last\n"]
    assert [(reject.row, reject.reason) for reject in rejects.samples] == [(1, "a line longer than 16 MiB")]
    assert peak < 4 * LONGEST  # of 16 that it holds
