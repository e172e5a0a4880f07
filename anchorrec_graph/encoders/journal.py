"""The rows that an interrupted encoding has computed: an append-only file that survives a kill.

One line of JSON (what the rows belong to), then records of equal size: hash of the input, row, CRC-32 of
both. A batch is on disk before the next one is computed; a torn record at the end fails its CRC.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HASH = 32  # bytes of SHA-256


class Journal:
    """`index`: input hash -> record; `rows`: the records' rows, memory-mapped."""

    def __init__(self, path: Path, key: dict[str, Any], dtype: np.dtype[Any]) -> None:
        """Open the file. What belongs to another key, or is torn, is dropped.

        The number of columns is that of the first batch ever appended.
        """
        self.path, self.key, self.dtype = path, key, dtype
        self.index: dict[bytes, int] = {}
        self.dim: int | None = None
        header = self._header()
        if header is None:
            path.write_bytes(b"")
        else:
            self._start(header["dim"], len(self._line(header["dim"])))
            self._read()

    def append(self, hashes: Sequence[bytes], rows: NDArray[Any]) -> None:
        """Add rows [n, d] of the journal's dtype, and return when they are on disk."""
        if self.dim is None:
            self._append(self._line(rows.shape[1]))
            self._start(rows.shape[1], self.path.stat().st_size)
        records = np.empty(len(rows), dtype=self.record)
        records["hash"] = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(rows), HASH)
        records["row"] = rows
        records["crc"] = [_crc(record) for record in records]
        self._append(records.tobytes())
        for value in hashes:
            self.index[value] = len(self.index)

    @property
    def rows(self) -> NDArray[Any]:
        """Rows [records, d]."""
        if self.dim is None or not self.index:
            return np.empty((0, self.dim or 0), dtype=self.dtype)
        return self._records()["row"]

    def _start(self, dim: int, offset: int) -> None:
        self.dim, self.offset = dim, offset
        self.record = np.dtype([("hash", np.uint8, HASH), ("row", self.dtype, (dim,)), ("crc", "<u4")])

    def _line(self, dim: int) -> bytes:
        return (
            json.dumps({"key": self.key, "dtype": self.dtype.str, "dim": dim}, sort_keys=True).encode()
            + b"\n"
        )

    def _header(self) -> dict[str, Any] | None:
        """The first line, if it is the one of this key."""
        try:
            with open(self.path, "rb") as file:
                line = file.readline(1 << 20)
            header = json.loads(line)
            whole = type(header["dim"]) is int and header["dim"] > 0 and line == self._line(header["dim"])
            return header if whole else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _records(self) -> NDArray[Any]:
        count = (self.path.stat().st_size - self.offset) // self.record.itemsize
        if not count:
            return np.empty(0, dtype=self.record)
        return np.memmap(self.path, self.record, "r", offset=self.offset, shape=(count,))

    def _read(self) -> None:
        records, whole = self._records(), 0
        for record in records:
            if int(record["crc"]) != _crc(record):
                break
            self.index[record["hash"].tobytes()] = whole
            whole += 1
        del records
        os.truncate(self.path, self.offset + whole * self.record.itemsize)

    def _append(self, data: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _crc(record: Any) -> int:
    return zlib.crc32(record["row"].tobytes(), zlib.crc32(record["hash"].tobytes()))
