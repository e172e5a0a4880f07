"""Records of lines with double quotes. A quote left open costs one line, not the rest of the file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from anchorrec_graph.prepare.sources.lines import LONGEST

MOST_LINES = 200  # of a record
AT_ONCE = 2048  # lines

REASONS = {
    "unexpected end of data": "a quote is not closed",
    "field larger than field limit": "a field is longer than the csv module's limit",
    "new-line character seen": "a carriage return outside quotes",
}


class Parsed(NamedTuple):
    """Records and faults of some lines, by the position of their first line."""

    fields: list[str]  # of all records, one after the other: many small lists are slow to hold
    starts: Sequence[int]  # of the records
    faults: list[tuple[int, str]]  # position, reason
    used: int  # the lines from here on are an unfinished record


def parse_quoted(lines: Sequence[str], separator: str, width: int, last: bool) -> Parsed:
    """Records of `width` fields, of lines that end with a line feed. Empty lines are passed over.

    Where a record breaks off, its first line is a fault and reading goes on at its second. `last` says
    that no lines follow, so that an open quote is a fault.
    """
    fields: list[str] = []
    for start in range(0, len(lines), AT_ONCE):
        part = lines[start : start + AT_ONCE]
        try:
            records = list(csv.reader(part, delimiter=separator, strict=True))
        except csv.Error:
            return _one_by_one(lines, separator, width, last)
        if len(records) != len(part) or any(len(record) != width for record in records):
            return _one_by_one(lines, separator, width, last)
        fields.extend(chain.from_iterable(records))
    return Parsed(fields, range(len(lines)), [], len(lines))


class _Feed:
    """Gives the lines of one record after another; `start` is where the present one began."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines, self.start, self.place, self.letters = lines, 0, 0, 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.place == len(self.lines) or self.full:
            raise StopIteration
        line = self.lines[self.place]
        self.place, self.letters = self.place + 1, self.letters + len(line)
        return line

    @property
    def full(self) -> bool:
        return self.place - self.start >= MOST_LINES or self.letters > LONGEST

    def begin(self, place: int) -> None:
        self.start, self.place, self.letters = place, place, 0


def _one_by_one(lines: Sequence[str], separator: str, width: int, last: bool) -> Parsed:
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=separator, strict=True)
    fields: list[str] = []
    starts: list[int] = []
    faults: list[tuple[int, str]] = []
    while feed.place < len(lines):
        try:
            record = next(reader)
        except csv.Error as error:
            reason = _reason(str(error))
            if reason == REASONS["unexpected end of data"] and not (last or feed.full):
                break
            faults.append((feed.start, reason))
            feed.begin(feed.start + 1)
            continue
        if len(record) == width:
            fields.extend(record)
            starts.append(feed.start)
        elif record:
            faults.append((feed.start, "too many fields" if len(record) > width else "too few fields"))
        feed.begin(feed.place)
    return Parsed(fields, starts, faults, feed.start)


def _reason(message: str) -> str:
    known = [reason for start, reason in REASONS.items() if message.startswith(start)]
    return known[0] if known else "text after a closing quote"
