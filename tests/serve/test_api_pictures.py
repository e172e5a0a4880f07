"""Pictures of items, and uploaded ones: nothing outside the folder, no bombs, nothing left behind."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_world import ENCODE, error_of, form, picture, serving
from PIL import Image
from starlette.testclient import TestClient

from anchorrec_graph.errors import DataError
from anchorrec_graph.serve.api.limits import LIMITS

NOISE = os.urandom(900 * 900 * 3)


def png_of(width: int, height: int, rows: int = 1) -> bytes:
    """A PNG that claims a size, with a few rows of it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * (1 + 3 * min(width, 10_000)) * rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pictures")
    (found / "i1.png").write_bytes(picture())
    (found / "i2.jpg").write_bytes(picture(form="JPEG"))
    (found / "i3.bmp").write_bytes(picture((20, 10), "BMP"))
    large = Image.frombytes("RGB", (900, 900), NOISE)
    large.save(found / "i4.png")
    (found / "i5.png").write_bytes(b"no picture")
    (found / "i6.gif").write_bytes(b"<svg onload='alert(1)'></svg>")
    (found / "i7.png").write_bytes(png_of(60_000, 60_000))
    (found / "i8.webp").write_bytes(picture(form="WEBP"))
    (found / "notes.txt").write_text("i9")
    (found / "secret.png").write_bytes(picture())
    return found


@pytest.fixture(scope="module")
def client(api_run: Path, folder: Path) -> Iterator[TestClient]:
    with serving(api_run, images=folder, encoders=ENCODE) as found:
        yield found


@pytest.mark.parametrize(("item", "kind"), [("i1", "image/png"), ("i2", "image/jpeg"), ("i8", "image/webp")])
def test_as_they_are(client: TestClient, folder: Path, item: str, kind: str) -> None:
    answer = client.get(f"/api/items/{item}/image")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.content == next(folder.glob(f"{item}.*")).read_bytes()
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = client.get(f"/api/items/{item}/image", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(("item", "size"), [("i3", (20, 10)), ("i4", (768, 768))])
def test_made_for_browsers(client: TestClient, item: str, size: tuple[int, int]) -> None:
    """BMP, which not all show, and large files, become a JPEG of a sensible size."""
    answer = client.get(f"/api/items/{item}/image")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == size


@pytest.mark.parametrize("item", ["i5", "i6", "i7", "i9"])
def test_what_cannot_be_shown(client: TestClient, item: str) -> None:
    error_of(client.get(f"/api/items/{item}/image"), 404, "not_found")


def test_only_items_have_pictures(client: TestClient) -> None:
    for name in ("secret", "notes", "secret.png", "../secret"):
        assert client.get(f"/api/items/{name}/image").status_code == 404


def test_cards_tell(client: TestClient) -> None:
    cards = {card["item_id"]: card for card in client.get("/api/items?limit=100").json()["items"]}
    assert {item for item, card in cards.items() if card["image"]} == {f"i{n}" for n in range(1, 9)}
    assert client.get("/api/catalog").json()["images"] is True


def test_a_file_that_changes_after_the_start(api_run: Path, tmp_path: Path) -> None:
    """Gone, or replaced by a link or a pipe, is no picture; the other items are served."""
    for name in ("i1", "i2", "i3", "i4"):
        (tmp_path / f"{name}.png").write_bytes(picture())
    outside = tmp_path.parent / "outside.png"
    outside.write_bytes(picture())
    with serving(api_run, images=tmp_path) as client:
        for name in ("i1", "i2", "i3"):
            (tmp_path / f"{name}.png").unlink()
        (tmp_path / "i2.png").symlink_to(outside)
        os.mkfifo(tmp_path / "i3.png")
        for name in ("i1", "i2", "i3"):
            error_of(client.get(f"/api/items/{name}/image"), 404, "not_found")
        assert client.get("/api/items/i4/image").status_code == 200


def test_links_out_of_the_folder_are_refused(api_run: Path, tmp_path: Path) -> None:
    inside = tmp_path / "pictures"
    inside.mkdir()
    (tmp_path / "outside.png").write_bytes(picture())
    (inside / "i1.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match="leaves the folder"), serving(api_run, images=inside):
        pass


def test_an_upload(client: TestClient) -> None:
    """A picture in any form that is read, by picture alone or with a text, and no file is left of it."""
    before = set(Path(tempfile.gettempdir()).glob("anchorrec-upload-*"))
    answers = [
        client.post("/api/new-item", files=form(image=picture((40, 30), form_, "red"), **text)).json()
        for form_ in ("PNG", "BMP", "TIFF")
        for text in ({}, {"text": "abc"})
    ]
    assert answers[0] == answers[2] == answers[4]
    assert answers[1] == answers[3] == answers[5]
    assert set(answers[0]["similar"]) == {"image", "final"}
    assert set(answers[1]["similar"]) == {"image", "text", "final"}
    other = client.post("/api/new-item", files=form(image=picture((40, 30), "PNG", "blue"))).json()
    assert other["similar"]["image"] != answers[0]["similar"]["image"]
    assert set(Path(tempfile.gettempdir()).glob("anchorrec-upload-*")) == before


BAD = {
    "text": b"no picture",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'></svg>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "cut": picture((400, 400), "JPEG")[:300],
    "zeros": b"\0" * 1000,
    "head": b"\x89PNG\r\n\x1a\n",
    "html": b"GIF89a<script>alert(1)</script>",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_damaged_uploads(client: TestClient, content: bytes) -> None:
    error = error_of(client.post("/api/new-item", files=form(image=content)), 422, "invalid")
    assert error["field"] == "image"
    assert "/" not in error["message"]


@pytest.mark.parametrize("size", [(6000, 5000), (50_000, 50_000), (1, LIMITS.pixels + 1)])
def test_bombs(client: TestClient, size: tuple[int, int]) -> None:
    """By what the header says; a decoder would fill gigabytes."""
    error = error_of(client.post("/api/new-item", files=form(image=png_of(*size))), 413, "too_large")
    assert error["field"] == "image"


def test_a_bomb_of_compressed_zeros(client: TestClient) -> None:
    """Small in bytes, and true to its header."""
    content = io.BytesIO()
    Image.new("L", (6000, 5000)).save(content, "PNG")
    assert len(content.getvalue()) < 100_000
    error_of(client.post("/api/new-item", files=form(image=content.getvalue())), 413, "too_large")


def test_an_empty_file_field_is_none(client: TestClient) -> None:
    """A browser sends one when nothing was chosen."""
    answer = client.post("/api/new-item", files={"image": ("", b""), "text": (None, "abc")})
    assert set(answer.json()["similar"]) == {"text", "final"}


def test_the_encoders_own_limit(api_run: Path) -> None:
    encoders = {"image": {"name": "tiny_image", "max_pixels": 5000}}
    with serving(api_run, encoders=encoders) as client:
        error = error_of(
            client.post("/api/new-item", files=form(image=picture((100, 100)))), 413, "too_large"
        )
        assert "/" not in error["message"]
