"""Text that comes from data, where people read it."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def printable(text: str) -> str:
    """A space for every letter that breaks a line or controls a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
