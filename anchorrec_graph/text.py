"""Text that comes from data, where people read it."""

from __future__ import annotations


def printable(text: str) -> str:
    """A space for every letter that breaks a line or controls a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
