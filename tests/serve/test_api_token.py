"""Who is answered: the token, and the names that the server goes by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_world import client_of, error_of, shop_service
from starlette.testclient import TestClient

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.auth import read_token
from anchorrec_graph.serve.api.page import Asset
from anchorrec_graph.serve.api.settings import ServeSettings, is_loopback

TOKEN = "0123456789abcdef-XYZ_"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("token")
    service = shop_service(folder, ServeSettings((folder,), token=TOKEN))
    service.page["index.html"] = Asset(b"<p>page", "text/html", '"1"')
    with client_of(app_of(service), follow_redirects=False) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_cookies(client: TestClient) -> None:
    client.cookies.clear()


WRONG = [
    {},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": f"Bearer {TOKEN}x"},
    {"authorization": f"Bearer {TOKEN[:-1]}"},
    {"authorization": TOKEN},
    {"cookie": "anchorrec_token=wrong"},
    {"cookie": "anchorrec_token"},
    {"cookie": "=;;=\x01,anchorrec_token=\u00ff"},
]


@pytest.mark.parametrize("headers", WRONG, ids=str)
def test_without_the_token(client: TestClient, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in (
        "/",
        "/api/catalog",
        "/api/items/i1/image",
        "/metrics",
        "/openapi.json",
        "/page/app.js",
        "/x",
    ):
        answer = client.get(path, headers=encoded)
        error_of(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    error_of(client.post("/api/recommend", json={"user": "u1"}, headers=encoded), 401, "unauthorized")


def test_health_needs_none(client: TestClient) -> None:
    assert client.get("/health").status_code == 200


def test_with_the_token(client: TestClient) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/catalog", headers=headers).status_code == 200
    assert client.post("/api/recommend", json={"user": "u1"}, headers=headers).status_code == 200


def test_from_the_address_of_the_page(client: TestClient) -> None:
    """A browser opens the page with the token once, and has it as a cookie that scripts cannot read."""
    answer = client.get(f"/?user=u1&token={TOKEN}&k=5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?user=u1&k=5")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert client.get("/").content == b"<p>page"
    assert client.get("/api/catalog").status_code == 200
    client.cookies.clear()
    error_of(client.get("/?token=wrong"), 401, "unauthorized")
    error_of(client.get(f"/api/catalog?token={TOKEN}"), 401, "unauthorized")


def test_with_a_cookie_a_wrong_token_in_the_address_stores_nothing(client: TestClient) -> None:
    answer = client.get("/?token=wrong", headers={"authorization": f"Bearer {TOKEN}"})
    assert "wrong" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", ""]
)
def test_other_names(shop_api: TestClient, host: str) -> None:
    """A site that points its own name at 127.0.0.1 gets nothing."""
    error_of(shop_api.get("/health", headers={"host": host}), 421, "invalid")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1234", "[::1]:8000", "[::1]"])
def test_own_names(shop_api: TestClient, host: str) -> None:
    assert shop_api.get("/health", headers={"host": host}).status_code == 200


def test_any_name_where_all_may_ask(tmp_path: Path) -> None:
    assert ServeSettings((tmp_path,), host="0.0.0.0").hosts is None
    assert ServeSettings((tmp_path,), token=TOKEN).hosts is None
    assert "localhost" in (ServeSettings((tmp_path,)).hosts or ())


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.2", False), ("example.org", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_token_files(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"  {TOKEN}\n")
    assert read_token(path) == TOKEN
    for text in ("", "short", "a b" * 10, "x;" * 10, 'x"' * 10, "é" * 20):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=str(path)):
            read_token(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(tmp_path / "none")
