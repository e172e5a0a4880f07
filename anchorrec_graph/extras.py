"""Optional parts of the package, each behind an extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from anchorrec_graph.errors import ConfigError


def require_extra(extra: str, what: str, needed: Mapping[str, str]) -> None:
    """Refuse to go on without the libraries of an extra.

    Args:
        what: that cannot be had without, such as "a report".
        needed: module -> the package that brings it.

    Raises:
        ConfigError: naming what is missing.
    """
    missing = [name for module, name in needed.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"{what} needs {', '.join(missing)}, which is missing: pip install 'anchorrec_graph[{extra}]'"
        )
