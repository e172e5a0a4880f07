"""What the extra `report` brings."""

from __future__ import annotations

from anchorrec_graph.extras import require_extra

NEEDED = {"matplotlib": "matplotlib", "sklearn": "scikit-learn", "jinja2": "jinja2", "PIL": "pillow"}


def require_report() -> None:
    """Refuse to go on without the libraries of the extra `report`.

    Raises:
        ConfigError: naming what is missing.
    """
    require_extra("report", "a report", NEEDED)
