"""Pictures from a folder that may hold anything."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from anchorrec_graph.report import thumbnails
from anchorrec_graph.report.thumbnails import SIZE, thumbnail


def picture(path: Path, size: tuple[int, int] = (600, 400), mode: str = "RGB") -> Path:
    Image.new(mode, size, 200).save(path)
    return path


def test_small_and_inside_the_page(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.png", mode="LA")
    for name in ("a", "b"):
        uri = thumbnail(tmp_path, name)
        assert uri is not None
        head, _, content = uri.partition(",")
        assert head == "data:image/jpeg;base64"
        small = Image.open(io.BytesIO(base64.b64decode(content)))
        assert small.size == (SIZE[0], round(400 * SIZE[0] / 600))


def test_nothing_for_what_is_missing_damaged_or_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    whole = picture(tmp_path / "outside.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture", encoding="utf-8")
    (folder / "folder.png").mkdir()
    for item in ("none", "cut", "text", "folder", "../outside", str(tmp_path / "outside"), "..", ""):
        assert thumbnail(folder, item) is None, item


def test_huge_images_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 600 * 400 - 1)
    assert thumbnail(tmp_path, "a") is None
