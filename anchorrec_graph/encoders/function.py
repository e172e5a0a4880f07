"""Encoders that are any function of yours: `-o function=package.module:name`, of texts or of files."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, PrivateAttr

from anchorrec_graph.encoders.base import ENCODERS, FileEncoder, TextEncoder
from anchorrec_graph.encoders.image import MAX_BYTES, check_file
from anchorrec_graph.encoders.weights import weights_hash
from anchorrec_graph.errors import ConfigError

Rows = Callable[[list[Any]], NDArray[np.float32]]


class TextFunction(TextEncoder):
    """A function of a list of n texts that returns rows [n, d]."""

    name: Literal["text_function"] = "text_function"
    function: str  # package.module:name; only ever the user's own setting
    version: str = ""  # change it when the function's weights change: they cannot be seen from here
    _function: Rows | None = PrivateAttr(None)

    def load(self) -> None:
        self._function = find_function(self.function)

    def identity(self) -> str:
        return source_hash(self._function)

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        assert self._function is not None
        return self._function(list(batch))


class FileFunction(FileEncoder):
    """A function of a list of n paths, such as of sounds, that returns rows [n, d]."""

    name: Literal["file_function"] = "file_function"
    function: str
    version: str = ""
    max_bytes: PositiveInt = MAX_BYTES
    neutral: ClassVar[frozenset[str]] = frozenset({"max_bytes"})
    _function: Rows | None = PrivateAttr(None)

    def load(self) -> None:
        self._function = find_function(self.function)

    def identity(self) -> str:
        return source_hash(self._function)

    def check(self, source: Path) -> None:
        check_file(source, self.max_bytes)

    def read(self, source: Path) -> Path:
        return source

    def encode(self, batch: Sequence[Path]) -> NDArray[np.float32]:
        assert self._function is not None
        return self._function(list(batch))


def find_function(name: str) -> Rows:
    """
    Raises:
        ConfigError: no such module or function.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigError(f"function '{name}': {error}; write package.module:function") from error
    if not callable(found):
        raise ConfigError(f"function '{name}': is no function; write package.module:function")
    return found  # type: ignore[no-any-return]  # whatever it returns is checked


def source_hash(function: Any) -> str:
    """The hash of the file that defines the function; without one (a built-in) only its name is known."""
    try:
        return weights_hash(Path(inspect.getfile(inspect.unwrap(function))))
    except TypeError:
        return getattr(function, "__qualname__", type(function).__qualname__)


for _encoder in (TextFunction, FileFunction):
    ENCODERS.register(_encoder)(_encoder)
