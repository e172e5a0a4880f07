"""Malformed inputs of every source: a DataError that names the file, or frames that keep the contract."""

from __future__ import annotations

import gzip
import math
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fuzz_seeds import SEEDS, Seed

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import SOURCES, Source
from anchorrec_graph.prepare.sources.base import BLOCK, INTERACTION_COLUMNS, ITEM_COLUMNS, LABEL

CASES = 300  # of each source
ODD = [
    b"",
    b"\0",
    b'"',
    b"'",
    b"\\",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xe9",
    b"\t",
    b",",
    b"::",
    b"|",
    b"\x1f",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"-1",
    b"1e400",
    b"9" * 30,
    b"9" * 5000,
    b"9223372036854775808",
    b"0x10",
    b"1_0",
    b"\xd9\xa1",
    b"\\ud800",
    b"\\u0000",
    b"[" * 3000,
    b'{"a":' * 2000,
    b"{'a':" * 500,
    b"\xf0\x9f\x98\x80",
    b"2014-13-45",
    b"0001-01-01T00:00:00+23:59",
    b"\x1f\x8b",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\x0b",
    b"1.5",
    b"{}",
    b"[]",
    b'""',
    b"''",
    b"u'",
    b"\\x",
    b"\\N{DASH}",
]

Mutation = Callable[[random.Random, bytes], bytes]


def flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 20])):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(ODD) + data[place:]


def replace_value(rng: random.Random, data: bytes) -> bytes:
    """Another thing where a number, a text or a name stood."""
    old = rng.choice(
        [b"4.0", b"4.5", b"3.5", b"u1", b"i1", b'"i1"', b"1400000", b"1.5", b"pen", b"item", b"user", b"a"]
    )
    return data.replace(old, rng.choice(ODD), rng.choice([1, -1]))


def drop_column(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    separator = rng.choice([b",", b"\t", b"::", b"|"])
    place = rng.randrange(4)
    kept = [[field for n, field in enumerate(line.split(separator)) if n != place] for line in lines]
    return b"\n".join(separator.join(fields) for fields in kept)


def twice_header(rng: random.Random, data: bytes) -> bytes:
    header, _, rest = data.partition(b"\n")
    return (
        header + b"\n" + header + b"\n" + rest
        if rng.random() < 0.5
        else header + b"," + header + b"\n" + rest
    )


def windows(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r"]))


def encode(rng: random.Random, data: bytes) -> bytes:
    text = data.decode("latin-1") + rng.choice(["", "é", "\U0001f600"])
    return text.encode(rng.choice(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"]), "replace")


def packed(rng: random.Random, data: bytes) -> bytes:
    whole = gzip.compress(data)
    return rng.choice([whole, whole[: rng.randrange(len(whole))], flip(rng, whole), whole + b"more"])


def noise(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.choice([1, 10, 1000]))


def shuffled(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


def repeated(rng: random.Random, data: bytes) -> bytes:
    return data * rng.choice([2, 30]) if len(data) < 10_000 else data


MUTATIONS: list[Mutation] = [
    flip,
    flip,
    cut,
    insert,
    insert,
    insert,
    replace_value,
    replace_value,
    replace_value,
    drop_column,
    twice_header,
    windows,
    encode,
    packed,
    noise,
    shuffled,
    repeated,
]


def spoil(rng: random.Random, seed: Seed, folder: Path) -> None:
    """Write the seed's files, one of them malformed, missing, or a folder."""
    folder.mkdir()
    for name, data in seed.files.items():
        (folder / name).write_bytes(data)
    path = folder / rng.choice([name for name in seed.files if name not in seed.fixed])
    kind = rng.random()
    if kind < 0.04:
        path.unlink()
        if kind < 0.02:
            path.mkdir()
        return
    data = path.read_bytes()
    for _ in range(rng.choice([1, 1, 2, 3])):
        data = rng.choice(MUTATIONS)(rng, data)
    path.write_bytes(data)


def read_all(settings: dict[str, Any], folder: Path) -> tuple[int, Rejects]:
    """Read everything, checking what is yielded; the rows of interactions, and the rejects."""
    values = {
        key: [str(path).replace("FOLDER", str(folder)) for path in value]
        if isinstance(value, list)
        else value
        for key, value in settings.items()
    }
    source: Source = SOURCES.parse(values)
    rejects, rows = Rejects(), 0
    for path in source.interaction_files():
        for frame in source.read_interactions(path, rejects):
            check_interactions(frame)
            rows += len(frame)
    for path in source.item_files():
        for frame in source.read_items(path, rejects):
            check_items(frame)
    source.feature_files()
    for reject in rejects.samples:
        assert reject.row >= 1
        assert reject.reason
        assert reject.file.startswith(str(folder))
    return rows, rejects


def check_interactions(frame: pl.DataFrame) -> None:
    wanted = {**INTERACTION_COLUMNS, **(LABEL if "label" in frame.columns else {})}
    assert list(frame.schema.items()) == list(wanted.items())
    assert 0 < len(frame) <= BLOCK
    check_ids(frame, "user_id")
    check_ids(frame, "item_id")
    assert all(math.isfinite(rating) for rating in frame["rating"].drop_nulls())


def check_items(frame: pl.DataFrame) -> None:
    assert {name: frame.schema[name] for name in ITEM_COLUMNS if name in frame.schema} == {
        name: dtype for name, dtype in ITEM_COLUMNS.items() if name in frame.schema
    }
    check_ids(frame, "item_id")


def check_ids(frame: pl.DataFrame, column: str) -> None:
    for value in frame[column]:
        assert value
        assert value.strip(" \t\r\n\f\v") == value
        assert "\0" not in value


def place(settings: dict[str, Any], folder: Path, rng: random.Random, seed: Seed) -> str:
    """`rows` or `error`: what became of one malformed input."""
    spoil(rng, seed, folder)
    fault = None
    try:
        read_all(settings, folder)
    except DataError as error:
        fault = str(error)
    if fault is None:
        return "rows"
    assert str(folder) in fault
    assert len(fault.splitlines()) == 1
    return "error"


def test_every_source_has_seeds() -> None:
    assert set(SEEDS) == {name for name in SOURCES if SOURCES[name].__module__.startswith("anchorrec_graph.")}
    assert len(SEEDS) * CASES >= 2000


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_are_whole(name: str, tmp_path: Path) -> None:
    for seed in SEEDS[name]:
        for file, data in seed.files.items():
            (tmp_path / file).write_bytes(data)
        rows, rejects = read_all(seed.settings, tmp_path)
        assert (rows >= 5, rejects.total) == (True, 0), (seed.settings, rejects.samples)
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()


@pytest.mark.parametrize("name", SEEDS)
def test_malformed_inputs(name: str, tmp_path: Path) -> None:
    outcomes = {"rows": 0, "error": 0}
    for case in range(CASES):
        rng = random.Random(f"{name} {case}")
        seed = rng.choice(SEEDS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                outcomes[place(seed.settings, tmp_path / str(case), rng, seed)] += 1
            except BaseException as error:  # panics of polars are no Exception
                raise AssertionError(f"case {case} of {name}: {type(error).__name__}: {error}") from error
    assert min(outcomes.values()) > CASES / 10  # both happen
