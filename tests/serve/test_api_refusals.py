"""What must not be answered is refused: with the right code, without a trace of the server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from api_world import error_of, form
from starlette.testclient import TestClient

JSON = {"content-type": "application/json"}
RANKING = ("/api/recommend", "/api/similar", "/api/explain")
MINIMAL: dict[str, dict[str, Any]] = {
    "/api/recommend": {"user": "u1"},
    "/api/similar": {"item": "i1"},
    "/api/explain": {"user": "u1", "item": "i1"},
}


def test_the_minimal_requests_pass(api: TestClient) -> None:
    for path, body in MINIMAL.items():
        assert api.post(path, json=body).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/recommend", {"user": "nobody"}, "user"),
        ("/api/explain", {"user": "nobody", "item": "i1"}, "user"),
        ("/api/new-item", {"user": "nobody"}, "user"),
    ],
)
def test_unknown_users(api: TestClient, path: str, body: dict[str, Any], field: str) -> None:
    if path == "/api/new-item":
        answer = api.post(path, files=form(text="a", query=json.dumps(body)))
    else:
        answer = api.post(path, json=body)
    error = error_of(answer, 404, "unknown_user")
    assert error["field"] == field
    assert "nobody" not in error["message"]
    assert not re.search(r"\bu\d+\b", error["message"])  # nor anybody else's id


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/recommend", {"history": ["i1", "x"]}, "history.1"),
        ("/api/similar", {"item": "x"}, "item"),
        ("/api/explain", {"user": "u1", "item": "x"}, "item"),
        ("/api/explain", {"history": ["x"], "item": "i1"}, "history.0"),
    ],
)
def test_unknown_items(api: TestClient, path: str, body: dict[str, Any], field: str) -> None:
    assert error_of(api.post(path, json=body), 404, "unknown_item")["field"] == field


IDS = [
    "../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/setup.cfg",
    "i1%00",
    "i1/../../../run/config.yaml",
    "/etc/passwd",
    "%ff%fe",
    "C:%5Cwindows%5Cwin.ini",
    "x" * 5000,
]


@pytest.mark.parametrize("item", IDS)
@pytest.mark.parametrize("end", ["", "/image"])
def test_ids_are_no_paths(api: TestClient, item: str, end: str) -> None:
    answer = api.get(f"/api/items/{item}{end}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] in ("unknown_item", "not_found")
    answer = api.get(f"/page/{item}")
    error_of(answer, 404, "not_found")


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/recommend/", "/docs", "/.git/config"])
def test_no_such_address(api: TestClient, path: str) -> None:
    error_of(api.get(path), 404, "not_found")


def test_wrong_methods(api: TestClient) -> None:
    answer = api.get("/api/recommend")
    error_of(answer, 405, "invalid")
    assert answer.headers["allow"] == "POST"
    error_of(api.request("DELETE", "/api/items/i1"), 405, "invalid")


K = [0, -1, 201, 10**9, 10**40, 1.5, "20", True, None, [20], {"k": 20}]


@pytest.mark.parametrize("k", K)
@pytest.mark.parametrize("path", RANKING)
def test_k(api: TestClient, path: str, k: Any) -> None:
    assert error_of(api.post(path, json={**MINIMAL[path], "k": k}), 422, "invalid")["field"] == "k"


@pytest.mark.parametrize("path", RANKING)
def test_unknown_keys(api: TestClient, path: str) -> None:
    error = error_of(api.post(path, json={**MINIMAL[path], "usr": 1}), 422, "invalid")
    assert error["field"] == "usr"


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("/api/recommend", {}),
    ("/api/recommend", {"user": "u1", "history": ["i1"]}),
    ("/api/recommend", {"user": 1}),
    ("/api/recommend", {"user": None}),
    ("/api/recommend", {"user": ""}),
    ("/api/recommend", {"user": "u" * 501}),
    ("/api/recommend", {"user": {"id": "u1"}}),
    ("/api/recommend", {"history": "i1"}),
    ("/api/recommend", {"history": []}),
    ("/api/recommend", {"history": [["i1"]]}),
    ("/api/recommend", {"history": ["i1"] * 501}),
    ("/api/recommend", {"user": "u1", "exclude_seen": "yes"}),
    ("/api/recommend", {"user": "u1", "model": "b"}),
    ("/api/recommend", {"user": "u1", "model": "c"}),
    ("/api/recommend", {"user": "u1", "filters": ["look"]}),
    ("/api/recommend", {"user": "u1", "filters": {"look": {"min": 1}}}),
    ("/api/recommend", {"user": "u1", "filters": {"look": []}}),
    ("/api/recommend", {"user": "u1", "filters": {"look": [1] * 101}}),
    ("/api/recommend", {"user": "u1", "filters": {"look": "x" * 501}}),
    ("/api/recommend", {"user": "u1", "filters": {f"c{n}": 1 for n in range(21)}}),
    ("/api/recommend", {"user": "u1", "filters": {"look": 99}}),
    ("/api/recommend", {"user": "u1", "filters": {"look": 1e300}}),
    ("/api/recommend", {"user": "u1", "filters": {"title": "'; drop table items --"}}),
    ("/api/recommend", {"user": "u1", "filters": {"title": "(?:a+)+$"}}),
    ("/api/recommend", {"user": "u1", "weights": {"nothing": 1}}),
    ("/api/recommend", {"user": "u1", "weights": {"image": "1"}}),
    ("/api/recommend", {"user": "u1", "weights": {"image": 1e7}}),
    ("/api/recommend", {"user": "u1", "weights": {"image": None}}),
    ("/api/recommend", {"user": "u1", "weights": [1]}),
    ("/api/similar", {"item": "i1", "by": "nothing"}),
    ("/api/similar", {"item": "i1", "by": {}}),
    ("/api/similar", {"item": "i1", "by": {"image": 0}}),
    ("/api/similar", {"item": "i1", "by": {"image": -1, "text": 1}}),
    ("/api/similar", {"item": "i1", "by": 3}),
    ("/api/similar", {"item": ["i1"]}),
    ("/api/similar", {"item": "i1", "across": 1}),
    ("/api/explain", {"user": "u1"}),
    ("/api/explain", {"item": "i1"}),
    ("/api/explain", {"user": "u1", "item": "i1", "history": ["i2"]}),
]


@pytest.mark.parametrize(("path", "body"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_bodies(api: TestClient, path: str, body: dict[str, Any]) -> None:
    error_of(api.post(path, json=body), 422, "invalid")


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/api/recommend", {"filters": {"lok": 1}}),
        ("/api/similar", {"across": "lok"}),
        ("/api/similar", {"filters": {"lok": 1}}),
    ],
)
def test_unknown_columns(api: TestClient, path: str, more: dict[str, Any]) -> None:
    error = error_of(api.post(path, json={**MINIMAL[path], **more}), 422, "unknown_column")
    assert "did you mean 'look'?" in error["message"]


BYTES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"user"',
    b'{"user": "u1", "weights": {"image": NaN}}',
    b'{"user": "u1", "weights": {"image": Infinity}}',
    b'{"user": "u1", "weights": {"image": 1e999}}',
    b'{"user": "u1", "k": ' + b"9" * 5000 + b"}",
    b'{"user": "u1", "filters": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"[" * 30_000,
    b'{"a":' * 10_000,
    b'{"user": "\\ud800"}',
    b'{"user": "u1", "\\ud800": 1}',
    b'{"user": "u1", "filters": {"\\udfff": 1}}',
    b'{"user": "u1", "filters": {"title": "\\udfff"}}',
    b'{"user": "u1", "k": 5, "' + b"x" * 60_000 + b'": 1}',
    b"\xff\xfe\x00",
    "{'user': 'u1'}".encode("utf-16"),
    b'{"user": "u1"} trailing',
]


@pytest.mark.parametrize("content", BYTES, ids=lambda content: str(content[:40]))
def test_bytes_that_are_no_request(api: TestClient, content: bytes) -> None:
    error = error_of(api.post("/api/recommend", content=content, headers=JSON), 422, "invalid")
    assert len(error["message"]) <= 400
    assert len(error["field"] or "") <= 400


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_other_content_types(api: TestClient, kind: str) -> None:
    """A page of another site can send these without asking, so they must not be read as JSON."""
    answer = api.post("/api/recommend", content=b'{"user": "u1"}', headers={"content-type": kind})
    assert "application/json" in error_of(answer, 422, "invalid")["message"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=abc", "limit=1e9", "offset=-1", "offset=10000000000", "lmit=1",
        "model=b", "filter=look", "filter=look:99", f"q={'x' * 201}", "filter=" + "x" * 501, "limit=1&limit=",
        "&".join(["filter=look:1"] * 101),
    ],
)  # fmt: skip
def test_wrong_queries(api: TestClient, query: str) -> None:
    error_of(api.get(f"/api/items?{query}"), 422, "invalid")


def test_other_wrong_queries(api: TestClient) -> None:
    error_of(api.get("/api/items?filter=lok:1"), 422, "unknown_column")
    error_of(api.get("/api/items?filter=:"), 422, "unknown_column")
    error_of(api.get("/api/users?offset=1"), 422, "invalid")
    error_of(api.get("/api/catalog?k=1"), 422, "invalid")
    error_of(api.get("/api/items/i1?model=b"), 422, "invalid")


@pytest.mark.parametrize(
    "query", ["%00", "%ff", "(a+)+$", "%27%3B--", "a%0d%0aX-Header:1", "%F0%9F%92%A9", "."]
)
def test_odd_searches_find_nothing_or_something(api: TestClient, query: str) -> None:
    for path in ("/api/items", "/api/users"):
        answer = api.get(f"{path}?q={query}")
        assert answer.status_code == 200
        assert answer.json()["total"] == 0
        assert "x-header" not in answer.headers


def test_what_the_model_cannot(shop_api: TestClient) -> None:
    """Embeddings alone cannot make a user from items, nor place a new one."""
    error_of(shop_api.post("/api/recommend", json={"history": ["i1"]}), 501, "unsupported")
    error_of(shop_api.post("/api/explain", json={"history": ["i1"], "item": "i2"}), 501, "unsupported")
    for parts in ({"text": "abc"}, {"image": b"abc"}):
        error = error_of(shop_api.post("/api/new-item", files=form(**parts)), 501, "unsupported")
        assert error["field"] == next(iter(parts))


FORMS: list[dict[str, Any]] = [
    form(query="{}"),
    form(text="", query="{}"),
    form(text="   "),
    form(text="a", other="b"),
    form(text="a", query="no json"),
    form(text="a", query='{"k": 0}'),
    form(text="a", query='{"k": NaN}'),
    form(text="a", query='{"user": "u1", "history": ["i1"]}'),
    form(text="a", query="[" * 20_000),
    form(text="a", query='{"unknown": 1}'),
    form(text=b"a file"),
    form(image="no file"),
    {"text": ("x" * 10_000, b"a")},
    form(text="not finite"),
]


@pytest.mark.parametrize("parts", FORMS, ids=lambda parts: str(parts)[:60])
def test_wrong_forms(api: TestClient, parts: dict[str, Any]) -> None:
    error_of(api.post("/api/new-item", files=parts), 422, "invalid")


def test_parts_that_come_twice(api: TestClient) -> None:
    twice = [("text", (None, "a")), ("text", (None, "b"))]
    error_of(api.post("/api/new-item", files=twice), 422, "invalid")
    many = [("image", (f"{n}.png", b"x")) for n in range(50)]
    error_of(api.post("/api/new-item", files=many), 422, "invalid")


def test_a_long_text(api: TestClient) -> None:
    error_of(api.post("/api/new-item", files=form(text="x" * 10_001)), 413, "too_large")
    error_of(api.post("/api/new-item", files=form(text="x" * 50_000)), 422, "invalid")  # the form's own limit


PART = b"--x\r\nContent-Disposition: form-data; name="
MULTIPART = [
    (PART + b'"text"\r\n\r\nabc\r\n', "multipart/form-data; boundary=x"),  # cut off
    (PART + b'"image"; filename="a"\r\n\r\nabc\r\n', "multipart/form-data; boundary=x"),
    (PART + b'"text"\r\n\r\nabc\r\n' + PART + b'"image"; filename="a"', "multipart/form-data; boundary=x"),
    (b"", "multipart/form-data"),
    (b"", "multipart/form-data; boundary="),
    (b"--x\r\n", "multipart/form-data; boundary=x"),
    (b"--x\r\nnonsense\r\n\r\n--x--", "multipart/form-data; boundary=x"),
    (
        b'--x\r\nContent-Disposition: form-data; nam="text"\r\n\r\na\r\n--x--',
        "multipart/form-data; boundary=x",
    ),
    (b"--x" * 20_000, "multipart/form-data; boundary=x"),
    (b"\x00" * 1000, "multipart/form-data; boundary=" + "x" * 500),
    (b'{"text": "a"}', "application/json"),
    (b"text=a", "application/x-www-form-urlencoded"),
]


@pytest.mark.parametrize(("content", "kind"), MULTIPART, ids=str)
def test_damaged_forms(api: TestClient, content: bytes, kind: str) -> None:
    answer = api.post("/api/new-item", content=content, headers={"content-type": kind})
    error_of(answer, 422, "invalid")
