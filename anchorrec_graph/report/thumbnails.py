"""Small pictures of items from a folder."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.report.figures import data_uri

SUFFIXES = (".jpg", ".jpeg", ".png")
MOST_PIXELS = 50_000_000  # a larger image is not opened
SIZE = (200, 280)


def check_folder(folder: Path | None) -> None:
    """Refuse a folder that is not there.

    Raises:
        ConfigError: naming it.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--images {folder}: no such folder")


def thumbnail(folder: Path, item_id: str) -> str | None:
    """`<item_id>.jpg` or `.png` as a data URI; None where there is none that can be shown."""
    if Path(item_id).name != item_id:  # an id is no path
        return None
    paths = [folder / f"{item_id}{suffix}" for suffix in SUFFIXES]
    found = [path for path in paths if path.is_file()]
    return _small(found[0]) if found else None


def _small(path: Path) -> str | None:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size: refused below
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None
                image.thumbnail(SIZE)
                small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what a damaged file gives
        return None
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    return data_uri(content.getvalue(), "image/jpeg")
