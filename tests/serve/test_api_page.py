"""The page's files, and the command's own errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_world import client_of, error_of, shop_service
from starlette.testclient import TestClient

from anchorrec_graph.cli.serve import parse_encoders
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.page import FOLDER, read_assets


def test_the_page_is_served(api: TestClient) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "unsafe" not in policy
    again = api.get("/", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_file_of_the_page(api: TestClient) -> None:
    for path in FOLDER.rglob("*.*"):
        answer = api.get(f"/page/{path.relative_to(FOLDER).as_posix()}")
        assert answer.status_code == 200
        assert answer.content == path.read_bytes()


def test_files_of_other_types_and_of_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.js").write_text("1")
    (tmp_path / "secret.txt").write_text("1")
    (tmp_path / "x.py").write_text("1")
    assert set(read_assets(tmp_path)) == {"sub/a.js"}
    service = shop_service(tmp_path)
    service.page.update(read_assets(tmp_path))
    with client_of(app_of(service)) as client:
        assert client.get("/page/sub/a.js").headers["content-type"] == "text/javascript; charset=utf-8"
        for name in ("secret.txt", "x.py", "sub", "%2e%2e/secret.txt", "//sub/a.js"):
            error_of(client.get(f"/page/{name}"), 404, "not_found")
        assert "no page" in error_of(client.get("/"), 404, "not_found")["message"]


def test_encoders_of_the_command() -> None:
    assert parse_encoders(["text=minilm", "image = {name: onnx, model: m.onnx}"]) == {
        "text": {"name": "minilm"},
        "image": {"name": "onnx", "model": "m.onnx"},
    }
    for texts in (["text"], ["=minilm"], ["text="], ["text=[1"], ["text=a", "text=b"]):
        with pytest.raises(ConfigError, match="--encode"):
            parse_encoders(texts)
