"""The page's files, and the command's own errors."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from api_world import client_of, error_of, shop_service
from starlette.testclient import TestClient

from anchorrec_graph.cli.app import main
from anchorrec_graph.cli.serve import parse_encoders, require_serve
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.page import FOLDER, read_assets
from anchorrec_graph.serve.api.settings import ServeSettings


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


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[ServeSettings]:
    """The settings of servers that the command begins; none really is."""
    found: list[ServeSettings] = []
    monkeypatch.setattr(
        "anchorrec_graph.serve.api.server.serve", lambda settings: found.append(settings) or 0
    )
    return found


def test_the_settings_of_the_command(
    begun: list[ServeSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["anchorrec", "serve", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code in (0, None)
        return capsys.readouterr().err

    assert command("run") == ""
    assert begun[0] == ServeSettings((Path("run"),))
    assert begun[0].hosts is not None
    (tmp_path / "token").write_text("x" * 20)
    everywhere = ["run", "--compare", "other", "--host", "0.0.0.0", "--port", "80", "--workers", "2"]
    assert "everyone who can reach this machine can ask" in command(*everywhere)
    assert command(*everywhere, "--token-file", str(tmp_path / "token"), "--encode", "text=minilm") == ""
    assert begun[2] == ServeSettings(
        (Path("run"), Path("other")), host="0.0.0.0", port=80, workers=2, token="x" * 20,
        encoders={"text": {"name": "minilm"}},
    )  # fmt: skip


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    away = {"uvicorn", "orjson"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in away else find(name))
    with pytest.raises(ConfigError, match=r"needs uvicorn, orjson.*pip install 'anchorrec_graph\[serve\]'"):
        require_serve()


def test_encoders_of_the_command() -> None:
    assert parse_encoders(["text=minilm", "image = {name: onnx, model: m.onnx}"]) == {
        "text": {"name": "minilm"},
        "image": {"name": "onnx", "model": "m.onnx"},
    }
    for texts in (["text"], ["=minilm"], ["text="], ["text=[1"], ["text=a", "text=b"]):
        with pytest.raises(ConfigError, match="--encode"):
            parse_encoders(texts)
