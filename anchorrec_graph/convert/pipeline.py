"""`convert`: a prepared folder in another program's format, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from anchorrec_graph.convert.mmrec import write_mmrec
from anchorrec_graph.convert.recbole import write_recbole
from anchorrec_graph.convert.shop import Shop, Written, read_shop
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.files import replacing
from anchorrec_graph.prepare.workspace import RESULT, publish, workspace
from anchorrec_graph.settings import unknown_name

README = "README.txt"
TITLE = "Written by anchorrec convert"  # how a README begins, by which its folder is known
FORMATS: Mapping[str, Callable[[Shop, Path], Written]] = {"mmrec": write_mmrec, "recbole": write_recbole}


def convert(folder: Path, to: str, out: Path, overwrite: bool = False) -> list[str]:
    """Write the prepared `folder` as `out` in the format `to`; returns what was changed or left out.

    Args:
        overwrite: replace a folder that this function wrote.

    Raises:
        ConfigError: an unknown format.
        DataError: `folder` cannot be read, `out` holds something else, or the format cannot hold an id.
    """
    if to not in FORMATS:
        raise ConfigError(unknown_name("format", to, list(FORMATS)))
    with workspace(out) as partial:
        _check_free(out, overwrite)
        shop = read_shop(folder)
        result = partial / RESULT
        result.mkdir()
        written = FORMATS[to](shop, result)
        notes = "".join(f"{note}\n" for note in written.notes) or "nothing\n"
        text = f"{TITLE} --to {to}\nfrom {shop.made_from}\n\n{written.use}\nChanged or left out:\n{notes}"
        with replacing(result / README) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        publish(out, partial)
    return written.notes


def _check_free(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    readme = out / README
    if not (readme.is_file() and readme.read_bytes().startswith(TITLE.encode())):
        raise DataError(f"{out}: exists and was not written by anchorrec convert; give another --out")
    if not overwrite:
        raise DataError(f"{out}: exists; give another --out, or --overwrite")
