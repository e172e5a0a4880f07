"""`save_site`: a folder that any web server can hand out, and that needs nothing behind it."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.files import new_folder
from anchorrec_graph.serve.api.errors import ApiError
from anchorrec_graph.serve.api.images import read_picture
from anchorrec_graph.serve.api.limits import LIMITS
from anchorrec_graph.serve.api.model import Model
from anchorrec_graph.serve.api.page import INDEX, read_assets
from anchorrec_graph.serve.api.service import to_json
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.site.contents import about_site, feature_arrays, needs_near, pack, space_arrays
from anchorrec_graph.serve.site.sides import Side, sides_of

OURS = Path(__file__).parent / "page"  # api.js in place of the page's own, and what it is made of
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
CHANGES = {  # of index.html
    '<meta charset="utf-8">': '<meta charset="utf-8">\n'
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    '<meta name="referrer" content="no-referrer">',
    "The same answers are at /api, described in /openapi.json.": "No server stands behind it.",
    "    <noscript>": "    <p>If nothing comes, this is opened as a file: browsers load it over HTTP only,\n"
    "      for example from <code>python -m http.server</code> in this folder.</p>\n    <noscript>",
}


def sample_users(num_users: int, count: int) -> list[int]:
    """Rows of users, drawn anew each time: whoever has the data must not be able to draw the same ones."""
    rows: list[int] = np.random.default_rng().permutation(num_users)[:count].tolist()
    return rows


def save_site(
    catalog: Catalog,
    folder: str | Path,
    users: Sequence[int],
    images: Path | None = None,
    most_mib: int = 64,
    compare: Catalog | None = None,
) -> dict[str, Any]:
    """Write a site of one model, or of two; returns what is in it. The folder appears whole, or not at all.

    Scores, neighbours and reasons are computed in the browser from all items' rows, so they are those of the
    API to float32's last digits.

    Args:
        users: rows of the users to show, without their ids, as shopper 1, 2, ... (`known_to_both`).
        images: pictures named by item id, which are copied.
        most_mib: size beyond which nothing is written: visitors load all of it but the pictures.
        compare: a second model of the same items, to show beside the first.

    Raises:
        RunError: the folder is there already.
        ConfigError: the site would be larger than `most_mib`.
        DataError: what `sides_of` refuses.
    """
    sides = sides_of(catalog, users, images, compare)
    with new_folder(Path(folder)) as temporary:
        _write_page(temporary)
        pictures = _write_pictures(temporary / "pictures", sides[0].model)
        _write_data(temporary / "data", sides, pictures)
        sizes = {path: path.stat().st_size for path in temporary.rglob("*") if path.is_file()}
        if sum(sizes.values()) > most_mib * 2**20:
            raise ConfigError(
                f"the site of {catalog.name} would have {sum(sizes.values()) / 2**20:.1f} MiB, more than "
                f"{most_mib}; visitors load it all: use `anchorrec serve`, or allow more with --site-mib"
            )
    return {
        "name": catalog.name,
        "compare": None if compare is None else compare.name,
        "items": len(catalog.items),
        "shoppers": len(users),
        "pictures": len(pictures),
        "files": len(sizes),
        "bytes": sum(sizes.values()),
    }


def _write_page(folder: Path) -> None:
    (folder / "page").mkdir()
    for name, asset in (read_assets() | read_assets(OURS)).items():
        if name != INDEX:
            (folder / "page" / name).write_bytes(asset.content)
            continue
        text = asset.content.decode("utf-8")
        for old, new in CHANGES.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / INDEX).write_text(text, encoding="utf-8")


def _write_pictures(folder: Path, model: Model) -> dict[str, str]:
    """Item id -> file, for those that a browser can show. Files are named by row, whatever ids are like."""
    if model.pictures:
        folder.mkdir()
    written = {}
    for row, item in enumerate(model.catalog.item_ids):
        if item not in model.pictures:
            continue
        try:
            picture = read_picture(model.pictures[item], LIMITS.pixels)
        except ApiError:  # damaged: the page shows a place for it
            continue
        written[item] = f"{row}{mimetypes.guess_extension(picture.type)}"
        (folder / written[item]).write_bytes(picture.content)
    return written


def _write_data(folder: Path, sides: Sequence[Side], pictures: dict[str, str]) -> None:
    folder.mkdir()
    about, near = about_site(sides, pictures), needs_near(sides)
    for told, (model, users) in zip(about["sides"], sides, strict=True):
        contents = model.catalog.contents
        told["space"] = _write_arrays(folder, "space", space_arrays(contents, users))
        told["features"] = _write_arrays(folder, "features", feature_arrays(contents, near))
    (folder / "site.json").write_bytes(to_json(about))


def _write_arrays(folder: Path, name: str, arrays: Mapping[str, Tensor]) -> dict[str, Any]:
    """A file with its hash in its name: a host's cache cannot mix two sites; equal arrays are one file."""
    packed = pack(arrays)
    file = f"{name}-{hashlib.sha256(packed.content).hexdigest()[:12]}.bin"
    (folder / file).write_bytes(packed.content)
    return {"file": file, "arrays": packed.places}
