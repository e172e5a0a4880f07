from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from encoding_world import Colours
from PIL import Image

from anchorrec_graph.encoders.base import Unreadable
from anchorrec_graph.encoders.image import read_picture, squashed
from anchorrec_graph.errors import DataError


def pixel(path: Path, at: tuple[int, int] = (0, 0)) -> tuple[int, int, int]:
    picture = read_picture(path)
    assert picture.mode == "RGB"
    return picture.getpixel(at)  # type: ignore[no-any-return]


def png_with_size(path: Path, width: int, height: int) -> None:
    """A PNG whose header claims a size, with next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert pixel(tmp_path / "a.jpg") == (9, 8, 7)


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    picture.putpixel((1, 0), (10, 20, 30, 0))
    picture.save(tmp_path / "a.png")
    assert [pixel(tmp_path / "a.png", (x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]
    picture.convert("LA").save(tmp_path / "la.png")
    assert pixel(tmp_path / "la.png", (1, 0)) == (255, 255, 255)
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([1, 2, 3])
    palette.save(tmp_path / "p.png", transparency=0)
    assert pixel(tmp_path / "p.png") == (255, 255, 255)


def test_16_bit_grey_is_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert [pixel(tmp_path / "a.png", (x, 0)) for x in range(3)] == [
        (0, 0, 0),
        (100, 100, 100),
        (255, 255, 255),
    ]


def test_cmyk_palette_grey_and_one_bit(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = pixel(tmp_path / "a.jpg")
    assert red > 240
    assert max(green, blue) < 15
    Image.new("L", (2, 2), 77).save(tmp_path / "l.png")
    assert pixel(tmp_path / "l.png") == (77, 77, 77)
    Image.new("1", (2, 2), 1).save(tmp_path / "1.png")
    assert pixel(tmp_path / "1.png") == (255, 255, 255)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 2), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 2, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    assert read_picture(tmp_path / "a.png").size == (2, 4)
    assert [pixel(tmp_path / "a.png", (0, y))[0] for y in (0, 3)] == [255, 0]


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixel(tmp_path / "a.gif") == (200, 0, 0)


def test_damaged_files_are_unreadable(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
    for suffix in ("jpg", "png", "webp", "gif", "bmp", "tiff"):
        path = tmp_path / f"a.{suffix}"
        noise.save(path)
        whole = path.read_bytes()
        assert read_picture(path).size == (40, 40)
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(Unreadable, match=r"damaged|not a picture"):
            read_picture(path)
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(Unreadable, match="empty file"):
        read_picture(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("<svg/>")
    with pytest.raises(Unreadable, match="not a picture"):
        read_picture(tmp_path / "text.jpg")


def test_any_damage_is_unreadable_or_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "a"
    for suffix in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(path, suffix)
        whole = path.read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 4):
                data[place] = int(rng.integers(0, 256))
            path.write_bytes(data)
            try:
                Colours(max_pixels=10_000).check(path)
                assert read_picture(path, max_pixels=10_000).mode == "RGB"
            except (Unreadable, DataError):
                pass


@pytest.mark.parametrize(
    ("width", "height"), [(9000, 9000), (13_000, 13_000), (60_000, 60_000), (2**31 - 1, 1)]
)
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, width: int, height: int) -> None:
    png_with_size(tmp_path / "bomb.png", width, height)
    for look in (Colours().check, Colours().read):
        with pytest.raises(
            DataError, match=r"bomb\.png: .* pixels are more than max_pixels=\d+, not decoded"
        ):
            look(tmp_path / "bomb.png")


def test_limits_and_what_is_no_file(tmp_path: Path) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: 10 x 10 pixels are more than max_pixels=99"):
        Colours(max_pixels=99).check(tmp_path / "a.png")
    Colours(max_pixels=100).check(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: \d+ bytes are more than max_bytes=9"):
        Colours(max_bytes=9).check(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png: not a regular file"):
        Colours().check(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="cannot be read"):
        Colours().check(tmp_path / "no.png")


def test_postscript_is_not_opened(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for it."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", "EPS")
    with pytest.raises(Unreadable, match="not a picture"):
        read_picture(tmp_path / "a.png")


def test_squashed_keeps_no_aspect() -> None:
    assert squashed(Image.new("RGB", (9, 3), (1, 2, 3)), 5).tolist() == [[[1, 2, 3]] * 5] * 5
