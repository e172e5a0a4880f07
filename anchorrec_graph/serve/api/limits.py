"""What a request may ask for. Everything beyond is refused before any work is done."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Sizes, counts and seconds."""

    k: int = 200  # items of one answer
    history: int = 500  # items of a stranger's history
    id_chars: int = 500
    filters: int = 20  # columns that one request filters on
    filter_values: int = 100  # values of one column
    value_chars: int = 500
    weights: int = 50
    weight: float = 1e6  # of absolute size
    page: int = 100  # cards or users of one page of a list
    query_chars: int = 200
    text_chars: int = 10_000  # of a new item
    json_bytes: int = 64 * 2**10
    upload_bytes: int = 10 * 2**20  # of a picture
    pixels: int = 24_000_000
    header_seconds: float = 10.0  # until a request's headers are complete
    body_seconds: float = 15.0  # until its body is
    request_seconds: float = 30.0  # until the answer is sent
    threads: int = 4  # catalog calls that run at the same time, in one process
    waiting: int = 60  # catalog calls that wait for one of them; one more is refused
    encodings: int = 8  # uploads that wait for the encoders, which take one at a time
    connections: int = 512  # open connections of one process


LIMITS = Limits()
