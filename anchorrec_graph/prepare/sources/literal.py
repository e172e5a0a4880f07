"""Python's notation of plain values, rewritten as JSON. Nothing is evaluated.

The Amazon files of 2014 were written with `repr`: `{'asin': '0001', 'title': "It's", 'related': {}}`.
"""

from __future__ import annotations

import json
import re
import sys

_TOKEN = re.compile(
    r"""[uU]?'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'|[uU]?"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)\""""
    r"""|(?P<number>-?[0-9][0-9.eE+-]*)|(?P<word>True|False|None)\b|(?P<mark>[][{}:,\s]+)"""
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_WORDS = {"True": "true", "False": "false", "None": "null"}


def literal_to_json(line: str) -> str:
    """JSON text of one line of strings, numbers, True, False, None, lists and dicts.

    Only the words are translated: whether they form a value is left to the JSON reader.

    Raises:
        ValueError: a word is none of these, or an escape is not Python's.
    """
    parts, place = [], 0
    while place < len(line):
        token = _TOKEN.match(line, place)
        if token is None:
            raise ValueError(f"letter {place + 1} begins no plain value")
        kind, word = token.lastgroup, token[token.lastgroup or 0]
        if kind in ("single", "double"):
            parts.append(json.dumps(_ESCAPE.sub(_letter, word) if "\\" in word else word))
        else:
            parts.append(_WORDS.get(word, word))
        place = token.end()
    return "".join(parts)


def _letter(escape: re.Match[str]) -> str:
    """What an escape stands for; one that Python does not know stands for itself, backslash included."""
    code = escape[1]
    if code[0] in "xuU" and len(code) > 1:
        return _character(int(code[1:], 16))
    if code in "xuUN":
        raise ValueError(f"the escape \\{code} is not complete")
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code in "\\'\"":
        return code
    return _LETTERS.get(code, escape[0])


def _character(code: int) -> str:
    if code > sys.maxunicode:
        raise ValueError(f"there is no character {code}")
    return chr(code)
