"""User ids replaced by a keyed hash: only who has the key can tell whose they are."""

from __future__ import annotations

import hmac
from pathlib import Path

import polars as pl

from anchorrec_graph.errors import ConfigError

LEAST = 16  # bytes of a key
LENGTH = 32  # hexadecimal digits kept of HMAC-SHA256: 128 bits, so no two users ever share one


class Pseudonyms:
    """HMAC-SHA256 of user ids (UTF-8). The key stays in memory; what may be stored is `fingerprint`."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.fingerprint = self._hash("anchorrec prepare: which key")

    @classmethod
    def load(cls, path: Path) -> Pseudonyms:
        """Take all bytes of a file as the key, a last line break included.

        Raises:
            ConfigError: the file cannot be read or is too short to be a secret.
        """
        try:
            key = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: the key cannot be read ({error.strerror})") from error
        if len(key) < LEAST:
            raise ConfigError(
                f"{path}: {len(key)} bytes are too few for a key, at least {LEAST} are needed; "
                f"make one with: head -c 32 /dev/urandom > {path}"
            )
        return cls(key)

    def replace(self, ids: pl.Series) -> pl.Series:
        """The pseudonym of each id."""
        table = pl.DataFrame({"id": ids.unique()})
        hashed = pl.Series("hash", [self._hash(text) for text in table["id"]], dtype=pl.String)
        found = ids.to_frame("id").join(
            table.with_columns(hashed), on="id", how="left", maintain_order="left"
        )
        return found["hash"].alias(ids.name)

    def _hash(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()[:LENGTH]
