"""What the extra `report` brings."""

from __future__ import annotations

import importlib.util

from anchorrec_graph.errors import ConfigError

NEEDED = {"matplotlib": "matplotlib", "sklearn": "scikit-learn", "jinja2": "jinja2", "PIL": "pillow"}


def require_report() -> None:
    """Refuse to go on without the libraries of the extra `report`.

    Raises:
        ConfigError: naming what is missing.
    """
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"a report needs {', '.join(missing)}, which is missing: pip install 'anchorrec_graph[report]'"
        )
