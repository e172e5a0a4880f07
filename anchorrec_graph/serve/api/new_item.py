"""Features of a picture and a text that somebody sends, by the encoders that made the catalog's."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

import anchorrec_graph.encoders.families  # noqa: F401  registers the encoders
from anchorrec_graph.config import describe
from anchorrec_graph.encoders.base import ENCODERS, Encoder, Unreadable, need
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.serve.api.errors import ApiError
from anchorrec_graph.serve.api.images import check_upload, unreadable
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.text import first_line

Row = NDArray[np.float32]
FORM_PART = {"file": "image", "text": "text"}  # an encoder's kind -> the part of the form that it reads
PROBE = "probe"


class Encoders:
    """The encoder of each modality, with its weights. One row is made at a time: few models bear threads."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """
        Raises:
            ConfigError: no such encoder, a setting that it does not have, or its package is missing.
        """
        self._encoders = {modality: _load(modality, value) for modality, value in settings.items()}
        self._lock = Lock()

    @property
    def parts(self) -> dict[str, bool]:
        """Whether a picture and whether a text can be sent."""
        kinds = {encoder.kind for encoder in self._encoders.values()}
        return {part: kind in kinds for kind, part in FORM_PART.items()}

    def rows(self, picture: bytes | None, text: str | None, pixels: int) -> dict[str, Row]:
        """The features by modality.

        Raises:
            ApiError: 501 there is no encoder for a part, 422 or 413 the picture is refused.
        """
        given = {"image": picture, "text": text}
        for part, value in given.items():
            if value is not None and not self.parts[part]:
                raise ApiError(
                    501, "unsupported", f"this server was started without an encoder of {part}", part
                )
        if picture is not None:
            check_upload(picture, pixels)
        with self._lock:
            return {
                modality: _row(encoder, given[FORM_PART[encoder.kind]])
                for modality, encoder in self._encoders.items()
                if given[FORM_PART[encoder.kind]] is not None
            }

    def check(self, catalog: Catalog) -> None:
        """Refuse a catalog whose features other encoders made, as far as their width tells.

        Raises:
            ConfigError: naming the modality and both widths.
        """
        for modality, encoder in self._encoders.items():
            named = f"--encode {modality}={encoder.name}"
            if modality not in catalog.modalities:
                known = ", ".join(catalog.modalities) or "none"
                raise ConfigError(f"{named}: the catalog has no features of that name; it has {known}")
            if isinstance(catalog.contents.attachment, str):
                continue  # it cannot place new items, and says so when asked; the other model may
            try:
                with self._lock:
                    row = _row(encoder, _blank_picture() if encoder.kind == "file" else PROBE)
                catalog.place({modality: row}, k=1)
            except (DataError, ApiError) as error:
                reason = error.message if isinstance(error, ApiError) else first_line(error)
                raise ConfigError(f"{named}: does not fit the catalog ({reason})") from error


def _load(modality: str, value: Any) -> Encoder:
    try:
        encoder: Encoder = ENCODERS.parse(value)
    except ValidationError as error:
        raise ConfigError(f"--encode {modality}: {describe(error)}") from error
    except ValueError as error:
        raise ConfigError(f"--encode {modality}: {error}") from error
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"--encode {modality}: expected MODALITY=ENCODER, for example text=minilm")
    encoder.load()
    return encoder


def _row(encoder: Encoder, source: Any) -> Row:
    """One row of an encoder, from a text or the bytes of a picture."""
    if isinstance(source, str):
        return _encoded(encoder, source)
    handle, name = tempfile.mkstemp(prefix="anchorrec-upload-")
    try:
        with open(handle, "wb") as file:
            file.write(source)
        return _encoded(encoder, Path(name))
    finally:
        os.unlink(name)


def _encoded(encoder: Encoder, source: str | Path) -> Row:
    part = FORM_PART[encoder.kind]
    try:
        encoder.check(source)
        row = np.array(encoder.encode([encoder.read(source)])[0], dtype=np.float32)
    except Unreadable as error:
        raise unreadable(str(error)) from error
    except DataError as error:  # its message names our temporary file
        raise ApiError(
            413, "too_large", f"the encoder '{encoder.name}' refuses it as too large", part
        ) from error
    if not np.isfinite(row).all():
        raise ApiError(422, "invalid", f"its features by '{encoder.name}' are not finite", part)
    return row


def _blank_picture() -> bytes:
    """A grey PNG."""
    content = io.BytesIO()
    need("PIL.Image", "pillow").new("RGB", (64, 64), "grey").save(content, "PNG")
    return content.getvalue()
