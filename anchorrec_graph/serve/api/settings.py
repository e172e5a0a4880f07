"""`ServeSettings`: everything that a server is told at its start."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from anchorrec_graph.serve.api.limits import LIMITS, Limits

KEYS = ("a", "b")  # of the models, in the order that they are named in


class ServeSettings(NamedTuple):
    folders: tuple[Path, ...]  # a run or export, and perhaps a second one to compare with
    images: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    token: str | None = None
    encoders: Mapping[str, Any] = {}  # modality -> settings of an encoder
    log_ids: bool = False
    poll_seconds: float = 1.0
    limits: Limits = LIMITS

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names that a request may call the server by; None: any.

        On loopback without a token these are loopback's: else a page of any site that points its own name
        at 127.0.0.1 could read the catalog through the user's browser.
        """
        if self.token is not None or not is_loopback(self.host):
            return None
        return frozenset({"localhost", "127.0.0.1", "::1", self.host})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
