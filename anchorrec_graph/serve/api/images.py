"""Pictures: of the items, from files that were found at the start, and uploaded ones."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from anchorrec_graph.encoders.base import Unreadable, need
from anchorrec_graph.encoders.image import FORMATS, MAX_BYTES, SUFFIXES, as_rgb
from anchorrec_graph.encoders.sources import files
from anchorrec_graph.serve.api.errors import ApiError

SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}  # by browsers
LARGE = 400 * 2**10  # bytes beyond which a picture is made smaller before it is sent
SIDE = 768  # pixels of the longer side then
FRESH = "private, max-age=300"


class Picture(NamedTuple):
    content: bytes
    type: str
    tag: str


def find_pictures(items: pl.DataFrame, folder: Path | None) -> Mapping[str, Path]:
    """The file of each item that has one. The folder is listed once; ids never become part of a path.

    Raises:
        ConfigError, DataError: as `encoders.sources.files` does.
    """
    if folder is None:
        return {}
    named = items.select(pl.col("item_id").cast(pl.String))
    found = files(named, folder, None, SUFFIXES).values
    return {item: path.resolve() for item, path in zip(named["item_id"], found, strict=True) if path}


def read_picture(path: Path, pixels: int) -> Picture:
    """A picture that a browser can show: as it is stored, or smaller and as JPEG if it is large or odd.

    Raises:
        ApiError: 404, the file is gone, no longer a regular file, or damaged.
    """
    try:
        content, tag = _read(path)
    except OSError as error:
        raise _gone() from error
    try:
        with _opened(content, pixels) as picture:
            kind = SHOWN.get(picture.format)
        if kind is not None and len(content) <= LARGE:
            return Picture(content, kind, tag)
        return Picture(_smaller(content, pixels), "image/jpeg", tag)
    except ApiError as error:
        raise _gone() from error


def _read(path: Path) -> tuple[bytes, str]:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise OSError("no regular file of a sensible size")
        return file.read(MAX_BYTES), f'"{found.st_mtime_ns:x}-{found.st_size:x}"'


def _smaller(content: bytes, pixels: int) -> bytes:
    picture = decoded(content, pixels)
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def check_upload(content: bytes, pixels: int) -> None:
    """Refuse what is no picture or a bomb by its header, before anything is decoded.

    Raises:
        ApiError: 422 or 413.
    """
    with _opened(content, pixels):
        pass


def decoded(content: bytes, pixels: int) -> Any:
    """An RGB image of Pillow, upright.

    Raises:
        ApiError: 413 too many pixels, 422 damaged or no picture.
    """
    with _opened(content, pixels) as picture:
        try:
            picture.load()
            return as_rgb(need("PIL.ImageOps", "pillow").exif_transpose(picture))
        except Unreadable as error:
            raise unreadable(str(error)) from error
        except MemoryError:
            raise
        except Exception as error:  # decoders raise nearly every kind of error on damaged files
            raise unreadable("damaged") from error


def _opened(content: bytes, pixels: int) -> Any:
    image = need("PIL.Image", "pillow")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, which have our limit
            picture = image.open(io.BytesIO(content), formats=FORMATS)
    except image.DecompressionBombError as error:
        raise _too_large(pixels) from error
    except Exception as error:
        raise unreadable("not a JPEG, PNG, WebP, GIF, BMP or TIFF") from error
    if picture.width * picture.height > pixels:
        picture.close()
        raise _too_large(pixels)
    return picture


def unreadable(reason: str) -> ApiError:
    return ApiError(422, "invalid", f"the picture cannot be read: {reason}", "image")


def _too_large(pixels: int) -> ApiError:
    return ApiError(
        413, "too_large", f"the picture has more than {pixels} pixels; send a smaller one", "image"
    )


def _gone() -> ApiError:
    return ApiError(404, "not_found", "this item has no picture that can be shown")
