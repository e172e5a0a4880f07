"""Text files, plain or gzip, as blocks of whole lines: nothing is held but a block and an unfinished line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import WIDTH, Rejects

CHUNK = 1 << 22  # bytes read at a time
LONGEST = 1 << 24  # bytes of a line; longer ones are rejected
BOM, GZIP = b"\xef\xbb\xbf", b"\x1f\x8b"


class Block(NamedTuple):
    """Whole lines in UTF-8. Every line ends with a line feed, also the file's last; `\\r\\n` became `\\n`."""

    first: int  # number of the first line, from 1
    data: bytes


def read_blocks(
    path: Path, rejects: Rejects, header: int = 0, legacy: bool = False, chunk: int = CHUNK
) -> Iterator[Block]:
    """The lines of a UTF-8 file, about `chunk` bytes at a time; a byte order mark is skipped.

    Lines longer than LONGEST are rejected without being held; row = line - `header`. With `legacy`, lines
    that are not UTF-8 are read as latin-1.

    Raises:
        DataError: no such file, not readable, empty, a damaged gzip, or not UTF-8 (line and byte).
    """
    number, tail, skipping, empty = 1, b"", False, True
    for part in _chunks(path, chunk):
        empty = False
        if skipping:  # inside a line that is too long
            end = part.find(b"\n") + 1
            if not end:
                continue
            part, number, skipping = part[end:], number + 1, False
        data = tail + part
        end = data.find(b"\n") + 1
        if (end or len(data) + 1) > LONGEST + 1:
            if number <= header:
                raise DataError(f"{path}: the header line is longer than {LONGEST >> 20} MiB; is it a table?")
            start = data[:WIDTH].decode("utf-8", "replace")
            rejects.add(path, number - header, f"a line longer than {LONGEST >> 20} MiB", start)
            skipping, number, data = not end, number + (end > 0), data[end:] if end else b""
        end = data.rfind(b"\n") + 1
        if end:
            yield Block(number, _checked(path, number, data[:end], legacy))
            number += data.count(b"\n", 0, end)
        tail = data[end:]
    if empty:
        raise DataError(f"{path}: the file is empty; it needs one line per row")


def line_texts(data: bytes) -> Callable[[int], str]:
    """Place of a line among those of a block -> its beginning, to be shown."""
    ends: list[NDArray[np.int64]] = []  # found when a line is first asked for

    def text(place: int) -> str:
        if not ends:
            ends.append(np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")))
        start, end = int(ends[0][place - 1]) + 1 if place else 0, int(ends[0][place])
        return data[start : min(end, start + 4 * WIDTH)].decode("utf-8", "replace")

    return text


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    """The (unpacked) bytes of a file, and a line feed if it ends without one."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file")
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the folder and the file name")
    read, last = 0, b""
    try:
        with open(path, "rb") as raw:
            packed = raw.peek(2)[:2] == GZIP
            file = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw
            while part := file.read(size):
                yield part if read else part.removeprefix(BOM)
                read, last = read + len(part), part[-1:]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = "ends early" if isinstance(error, EOFError) else "is damaged"
        raise DataError(
            f"{path}: the gzip file {what} after {read:,} unpacked bytes; copy it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if read and last != b"\n":
        yield b"\n"


def _checked(path: Path, number: int, data: bytes, legacy: bool) -> bytes:
    """Lines in UTF-8 with plain line ends, or the place of the first byte that is not UTF-8."""
    data = data.replace(b"\r\n", b"\n")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if legacy:
            return b"".join(map(_modern, data.splitlines(keepends=True)))
        line = number + data.count(b"\n", 0, error.start)
        byte = error.start - data.rfind(b"\n", 0, error.start)
        raise DataError(
            f"{path}: line {line}: not UTF-8 ({error.reason} at byte {byte} of the line); save it as UTF-8"
        ) from error
    return data


def _modern(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1").encode()
    return line
