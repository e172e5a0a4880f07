"""`Encoder`: the extension point that turns a batch of texts or files into feature rows."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.registry import Registry
from anchorrec_graph.settings import Settings


class Unreadable(Exception):
    """One input that holds no content, with the reason. Its item counts as missing."""


class Encoder(Settings, ABC):
    """Settings and code of an encoder. A final subclass adds a `name` literal.

    `load` comes first, then `identity` and any number of batches. The number of columns is that of the
    first batch. Equal settings, identity and package versions mean equal rows: stored rows are reused by it.
    """

    name: str
    kind: ClassVar[Literal["text", "file"]]
    packages: ClassVar[tuple[str, ...]] = ()  # PyPI names whose versions may change a row
    neutral: ClassVar[frozenset[str]] = frozenset()  # settings that change no row, such as limits

    @abstractmethod
    def load(self) -> None:
        """Load the weights.

        Raises:
            ConfigError: a package or the model is missing, or a setting does not fit the model.
        """

    @abstractmethod
    def identity(self) -> str:
        """Text that changes when the weights do, such as a hash of their file."""

    @abstractmethod
    def check(self, source: Any) -> None:
        """Look at an input before anything is encoded.

        Raises:
            DataError: it is refused, because reading it could exhaust the machine.
        """

    @abstractmethod
    def read(self, source: Any) -> Any:
        """What `encode` takes, from a text or the path of a file.

        Raises:
            Unreadable: the input is damaged.
        """

    @abstractmethod
    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Feature rows [n, d] of n inputs that were `read`."""


class TextEncoder(Encoder, ABC):
    """Encodes texts."""

    kind: ClassVar[Literal["text", "file"]] = "text"

    def check(self, source: str) -> None: ...

    def read(self, source: str) -> str:
        return source


class FileEncoder(Encoder, ABC):
    """Encodes files. Subclasses say how one is checked and read."""

    kind: ClassVar[Literal["text", "file"]] = "file"
    suffixes: ClassVar[frozenset[str] | None] = None  # of files named by item id, in lower case; None: any

    @abstractmethod
    def check(self, source: Path) -> None: ...

    @abstractmethod
    def read(self, source: Path) -> Any: ...


ENCODERS: Registry[type[Encoder]] = Registry("encoder")


def need(module: str, package: str) -> Any:
    """An optional module.

    Raises:
        ConfigError: naming the package that is missing or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"this encoder needs {module} ({error}); pip install {package}") from error
    except (
        ImportError,
        RuntimeError,
        OSError,
    ) as error:  # torchvision raises RuntimeError beside another torch
        raise ConfigError(
            f"this encoder needs {module}, which is installed but does not import "
            f"({type(error).__name__}: {error}); install a build of {package} that fits the installed torch"
        ) from error
