"""Requests that nobody should send: valid ones with something broken in them, and bytes that are none."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/api/recommend", {"user": "u1", "k": 5, "filters": {"look": 1}, "weights": {"image": 1.5}}),
    ("/api/recommend", {"history": ["i1", "i2"], "k": 5, "exclude_seen": False}),
    ("/api/similar", {"item": "i1", "by": {"image": 0.5, "text": 0.5}, "k": 5, "across": "look"}),
    ("/api/explain", {"user": "u1", "item": "i1", "k": 3}),
    ("/api/explain", {"history": ["i1"], "item": "i2"}),
]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**40, 1e308, -1e308, 5e-324, 0.1, "", " ",
    "\0", "a" * 10_000, "\u202e\u0000\ufffd", "😀" * 100, "../../etc/passwd", "/etc/passwd", "look",
    "C:\\windows\\win.ini", "file:///etc/passwd", "http://169.254.169.254/", "'; drop table items --",
    "${jndi:ldap://x}", "{{7*7}}", "<script>alert(1)</script>", "%00%0d%0a", "__class__", "u1", "i1", "nan",
    "NaN", "Infinity", [], {}, [[]], [None] * 1000, ["i1"] * 500, ["i1"] * 501, {"a": {"b": {"c": 1}}},
    {"": ""}, {"image": 1e308}, {str(n): n for n in range(200)}, ["a" * 1000] * 50, {"image": -1},
    {"look": [1, 2, "x", True]},
]  # fmt: skip
TEXTS = [
    "NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "-" + "9" * 4000, '"\\ud800"', '"\\u0000"', "0x10",
    "[" * 10_000, "[" * 5000 + "]" * 5000, '{"a":' * 5000, "nul", "'a'", "01", "+1", "1.", '"unterminated',
]  # fmt: skip
PATHS = [
    "/", "/health", "/metrics", "/openapi.json", "/api/catalog", "/api/items", "/api/items/i1", "/api/users",
    "/api/items/i1/image", "/page/main.js", "/api/items/../../etc/passwd", "/page/../../../setup.cfg",
    "/api/items/..%2f..%2f..%2fetc%2fpasswd/image", "/page/%2e%2e%2f%2e%2e%2fapp.py", "/.git/config",
    "/%00", "/api/items/%ff%fe", "//evil.example/", "/api/items/" + "x" * 3000,
    "/page/" + "../" * 50 + "etc/passwd",
]  # fmt: skip
QUERIES = [
    "", "q=%00", "q=%ff", "q=" + "x" * 1000, "limit=-1", "limit=1e9", "limit=99999999999999999999", "a[]=1",
    "filter=look:1", "filter=:", "filter=" + "look:1&filter=" * 200, "model=../x", "q=(a%2B)%2B%24", "&&&=",
    "limit=%F0%9F%92%A9", "token=x", "q=%0d%0aSet-Cookie:a=b", "filter=title:" + "%25" * 100, "offset=-5",
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X" * 50]
HEADERS = [
    "Host: evil.example", "Content-Type: text/plain", "Content-Type: application/json; charset=utf-7",
    "Content-Length: -1", "Content-Length: 99999999999999999999", "Transfer-Encoding: gzip",
    "Range: bytes=0-1", "Content-Encoding: gzip", "If-None-Match: *", "Cookie: anchorrec_token=\x7f;;;=",
    "Expect: 100-continue",
    "Authorization: Bearer " + "x" * 5000, "X-Forwarded-For: 1.2.3.4", "Accept: " + "a," * 3000,
    "Upgrade: websocket\r\nConnection: Upgrade", "Connection: close",
]  # fmt: skip
RAW = [
    b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 500,
    b"PRI * HTTP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /api/recommend HTTP/1.0\r\n\r\n", b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nA" + b"b" * 70_000,
    b"POST /api/recommend HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
]  # fmt: skip
WORDS = [b"", b"a film", b"\xff\xfe", b"x" * 10_001, "😀".encode() * 100, b"\0"]
WISHES = [
    b"{}", b'{"user": "u1"}', b'{"k": 1e9}', b"[", b'{"history": ["i1"]}', b'{"user": "../../x"}',
    b"[" * 9000,
]  # fmt: skip


def hostile(draw: random.Random) -> tuple[str, bytes]:
    """The kind of a request, and its bytes."""
    kind = draw.choice(list(KINDS))
    return kind, KINDS[kind](draw)


def changed_value(draw: random.Random) -> bytes:
    """A valid body with one value replaced, added or taken away."""
    path, body = draw.choice(BODIES)
    body = json.loads(json.dumps(body))
    place: Any = body
    key = draw.choice(list(body))
    if isinstance(body[key], dict | list) and draw.random() < 0.5:
        place = body[key]
        key = draw.choice(list(place)) if isinstance(place, dict) else draw.randrange(len(place))
    change = draw.random()
    if change < 0.7:
        place[key] = draw.choice(VALUES)
    elif change < 0.85 and isinstance(place, dict):
        place[str(draw.choice(VALUES))[:1000]] = draw.choice(VALUES)
    else:
        del place[key]
    return post(path, json.dumps(body).encode())


def changed_text(draw: random.Random) -> bytes:
    """A valid body with text in place of a value that is no JSON, or no sensible one."""
    path, body = draw.choice(BODIES)
    text = json.dumps({**body, draw.choice(list(body)): "HERE"}).replace('"HERE"', draw.choice(TEXTS))
    return post(path, text.encode())


def broken_bytes(draw: random.Random) -> bytes:
    """A body with some of its bytes overwritten, or cut."""
    path, body = draw.choice(BODIES)
    content = bytearray(json.dumps(body).encode())
    for _ in range(draw.randrange(1, 8)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return post(path, bytes(content[: draw.randrange(len(content) + 1)]))


def odd_address(draw: random.Random) -> bytes:
    method = draw.choice(METHODS) if draw.random() < 0.3 else "GET"
    return (
        f"{method} {draw.choice(PATHS)}?{draw.choice(QUERIES)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    )


def odd_headers(draw: random.Random) -> bytes:
    path, body = draw.choice(BODIES)
    content = json.dumps(body).encode()
    some = "".join(f"{line}\r\n" for line in draw.sample(HEADERS, draw.randrange(1, 4)))
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{some}Connection: close\r\n\r\n".encode() + content


def too_much(draw: random.Random) -> bytes:
    """A body beyond the limit, announced, chunked, or shorter than announced."""
    size = draw.choice([70_000, 300_000])
    head = b"POST /api/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    if draw.random() < 0.5:
        return head + b"Content-Length: %d\r\n\r\n" % size + b" " * size
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % size + b" " * size + b"\r\n0\r\n\r\n"


def form(draw: random.Random) -> bytes:
    """A new item with parts that are missing, doubled, damaged or bombs."""
    parts = []
    for name, values in (("image", pictures()), ("text", WORDS), ("query", WISHES), ("other", WORDS)):
        for _ in range(draw.choice([0, 1, 1, 1, 2]) if name != "other" else draw.choice([0, 0, 0, 1])):
            file = (
                draw.choice(['; filename="../../a.png"', '; filename="a.png"', ""]) if name == "image" else ""
            )
            parts.append(f'form-data; name="{name}"{file}'.encode() + b"\r\n\r\n" + draw.choice(values))
    content = b"".join(b"--x\r\nContent-Disposition: " + part + b"\r\n" for part in parts)
    content += draw.choice([b"--x--\r\n", b"--x--\r\n", b"--x--\r\n", b"", b"--y--"])
    return post("/api/new-item", content, "multipart/form-data; boundary=x")


@cache
def pictures() -> list[bytes]:
    return [
        b"", b"no picture", b"\x89PNG\r\n\x1a\n", png(50_000, 50_000), png(8000, 8000), png(30, 20),
        b"GIF89a" + b"\0" * 500,
    ]  # fmt: skip


def raw(draw: random.Random) -> bytes:
    return draw.choice(RAW) if draw.random() < 0.5 else draw.randbytes(draw.randrange(1, 2000)) + b"\r\n\r\n"


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "changed value": changed_value,
    "changed text": changed_text,
    "broken bytes": broken_bytes,
    "odd address": odd_address,
    "odd headers": odd_headers,
    "too much": too_much,
    "form": form,
    "raw": raw,
}
WITHOUT_HTTP = {"raw", "odd headers", "too much"}  # the connection may end without an answer


def post(path: str, content: bytes, kind: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content


def png(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, with one row of it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(b"\0" * (1 + 3 * width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
