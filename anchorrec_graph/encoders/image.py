"""Reading pictures that come from anywhere: limits before decoding, and one meaning for every format.

JPEG, PNG, WebP, GIF, BMP and TIFF by content, whatever the file's name says. First frame of an animation.
EXIF rotation is applied. 16-bit grey is divided by 257; CMYK is converted without its colour profile;
transparent pixels lie on white. The result is 8-bit RGB.
"""

from __future__ import annotations

import stat
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, PrivateAttr
from torch import Tensor

from anchorrec_graph.encoders.base import FileEncoder, Unreadable, need
from anchorrec_graph.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # none that starts a program, as EPS does
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
PILLOW_LIMIT = 178_956_970  # pixels beyond which Pillow itself refuses
MAX_BYTES, MAX_PIXELS = 50 * 2**20, 64_000_000


class ImageEncoder(FileEncoder, ABC):
    """Encodes pictures. Subclasses say what is kept of one: a batch of whole ones could fill the memory."""

    max_bytes: PositiveInt = MAX_BYTES
    max_pixels: Annotated[int, Field(gt=0, le=PILLOW_LIMIT)] = MAX_PIXELS
    suffixes: ClassVar[frozenset[str] | None] = SUFFIXES
    neutral: ClassVar[frozenset[str]] = frozenset({"max_bytes", "max_pixels", "device"})

    def check(self, source: Path) -> None:
        check_file(source, self.max_bytes)
        try:
            with _opened(source) as picture:
                width, height = picture.size
        except Unreadable:
            return  # what it lacks is told when it is read
        if width * height > self.max_pixels:
            raise DataError(_too_large(source, f"{width} x {height} pixels", self.max_pixels))

    def read(self, source: Path) -> Any:
        return self.prepare(read_picture(source, self.max_bytes, self.max_pixels))

    @abstractmethod
    def prepare(self, picture: Any) -> Any:
        """What `encode` takes of an RGB image of Pillow: resized, perhaps normalised."""


class TorchImage(ImageEncoder, ABC):
    """Encodes pictures by a torch model. `load` sets the model, what makes a picture its input, and both's
    identity.
    """

    device: str = "cpu"
    _model: Any = PrivateAttr(None)
    _transform: Any = PrivateAttr(None)  # RGB image -> input of one picture
    _identity: str = PrivateAttr("")

    def identity(self) -> str:
        return self._identity

    def prepare(self, picture: Any) -> Tensor:
        return self._transform(picture)  # type: ignore[no-any-return]  # the transform is untyped

    def encode(self, batch: Sequence[Tensor]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows = self.rows(torch.stack(list(batch)).to(self.device))
        return rows.float().cpu().numpy()

    @abstractmethod
    def rows(self, pixels: Tensor) -> Tensor:
        """Feature rows [n, d] of n inputs."""


def check_file(path: Path, max_bytes: int) -> None:
    """
    Raises:
        DataError: not a regular file (a pipe would block), or too large.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: not a regular file; remove it")
    if found.st_size > max_bytes:
        raise DataError(
            f"{path}: {found.st_size} bytes are more than max_bytes={max_bytes}; shrink or remove the file, "
            "or raise -o max_bytes"
        )


def read_picture(path: Path, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Any:
    """An RGB image of Pillow.

    Raises:
        DataError: more bytes or pixels than the limits; nothing was decoded.
        Unreadable: empty, damaged, truncated, or of a format or mode that has no stated meaning.
    """
    check_file(path, max_bytes)
    operations = need("PIL.ImageOps", "pillow")
    with _opened(path) as picture:
        if picture.width * picture.height > max_pixels:
            raise DataError(_too_large(path, f"{picture.width} x {picture.height} pixels", max_pixels))
        try:
            picture.load()
            return as_rgb(operations.exif_transpose(picture))
        except (MemoryError, Unreadable):
            raise
        except Exception as error:  # decoders raise nearly every kind of error on damaged files
            raise Unreadable(f"damaged ({type(error).__name__})") from error


def as_rgb(picture: Any) -> Any:
    """Any picture of Pillow as 8-bit RGB (see the head of this file)."""
    image = need("PIL.Image", "pillow")
    if picture.mode.startswith("I;16"):
        return image.fromarray((np.asarray(picture) // 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise Unreadable(f"{picture.mode} pixels have no stated range")
    if picture.has_transparency_data:
        white = image.new("RGBA", picture.size, "white")
        return image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def squashed(picture: Any, size: int) -> NDArray[np.uint8]:
    """A picture resized to size x size (bicubic, aspect not kept): uint8 [size, size, 3]."""
    return np.asarray(picture.resize((size, size), need("PIL.Image", "pillow").Resampling.BICUBIC))


def _opened(path: Path) -> Any:
    """A picture of which only the header was read."""
    image = need("PIL.Image", "pillow")
    if not path.stat().st_size:
        raise Unreadable("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, which have our limit, and of odd metadata
            return image.open(path, formats=FORMATS)
    except image.DecompressionBombError as error:
        raise DataError(_too_large(path, "the picture's pixels", PILLOW_LIMIT)) from error
    except image.UnidentifiedImageError as error:
        raise Unreadable("not a picture of a known format") from error
    except Exception as error:  # as in read_picture
        raise Unreadable(f"damaged ({type(error).__name__})") from error


def _too_large(path: Path, found: str, limit: int) -> str:
    return (
        f"{path}: {found} are more than max_pixels={limit}, not decoded; shrink or remove the file"
        + ("" if limit == PILLOW_LIMIT else ", or raise -o max_pixels")
    )  # fmt: skip
