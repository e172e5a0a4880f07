"""What was made from features, kept on disk under the hash of what it was made from: none can be stale."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.files import save_tensors
from anchorrec_graph.graph.sharing import in_turn, team

VERSION = 3  # raise it when an algorithm behind cached tensors changes


def cache_dir() -> Path:
    """`$ANCHORREC_CACHE`, or `~/.cache/anchorrec_graph`."""
    return Path(os.environ.get("ANCHORREC_CACHE") or Path.home() / ".cache" / "anchorrec_graph")


def cache_path(kind: str, settings: str, sources: Sequence[Tensor], suffix: str) -> Path:
    """The file for what is made with these settings of sources with this content."""
    key = f"{VERSION}|{kind}|{settings}|{content_hash(*sources)}"
    return cache_dir() / kind / f"{hashlib.sha256(key.encode()).hexdigest()}{suffix}"


def cached_tensors(
    kind: str,
    settings: str,
    sources: Sequence[Tensor],
    build: Callable[[], dict[str, Tensor]],
    together: bool = False,
) -> dict[str, Tensor]:
    """`build()`, or its result kept from a call with equal kind, settings and content of the sources.

    A damaged file is built again. A folder that cannot be written costs only the reuse. Of several
    processes (`sharing.team`) the first builds, and the others read it.

    Args:
        together: all of them call `build` at the same time, which shares the work among them.
    """
    path = cache_path(kind, settings, sources, ".safetensors")

    def make() -> dict[str, Tensor]:
        kept = _kept(path)
        if together and not all(team().gather(kept is not None)):
            kept = None
        if kept is None:
            kept = build()
            if team().is_first:
                with contextlib.suppress(OSError, SafetensorError):
                    save_tensors(path, kept, {"kind": kind, "settings": settings})
        return kept

    return make() if together else in_turn(make)


def _kept(path: Path) -> dict[str, Tensor] | None:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError):
        return None
    return tensors
