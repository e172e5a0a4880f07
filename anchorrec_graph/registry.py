"""Registries: from the `name` in a configuration to the class that it sets; and modules that add to them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from pydantic import BeforeValidator, SerializeAsAny

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.settings import Settings, unknown_name

T = TypeVar("T")
_imported: list[str] = []


class Registry(Generic[T]):
    """Maps a name to (settings class, implementation).

    The name is the default of the settings' `name` field, so it is written once:

        class GATConfig(BackboneConfig):
            name: Literal["gat"] = "gat"

        @BACKBONES.register(GATConfig)
        class GAT(Backbone): ...
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[type[Settings], T]] = {}

    def register(self, config_class: type[Settings]) -> Callable[[T], T]:
        """Decorator that files an implementation under `config_class`'s `name`."""
        name = config_class.model_fields["name"].default

        def add(implementation: T) -> T:
            self._entries[name] = (config_class, implementation)
            return implementation

        return add

    def __getitem__(self, name: str) -> T:
        return self._entry(name)[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def config_class(self, name: str) -> type[Settings]:
        return self._entry(name)[0]

    def _entry(self, name: str) -> tuple[type[Settings], T]:
        if name not in self._entries:
            raise ValueError(unknown_name(self.kind, str(name), list(self._entries)))
        return self._entries[name]

    def parse(self, value: Any) -> Any:
        """Turn `{"name": ..., ...}` (or a bare name) into the registered settings object."""
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, dict):
            if "name" not in value:
                raise ValueError(f"missing key 'name': the {self.kind}; known: {', '.join(sorted(self))}")
            return self.config_class(value["name"]).model_validate(value)
        return value


def registered(registry: Registry[Any]) -> tuple[Any, Any]:
    """Annotations of a settings field that holds any of the registry's settings classes."""
    return BeforeValidator(registry.parse), SerializeAsAny()  # type: ignore[type-arg]  # it is one at type-checking time only


def import_modules(names: Sequence[str]) -> None:
    """Import modules that register classes of their own; those in the working directory are found.

    Raises:
        ConfigError: one cannot be imported.
    """
    if names and "" not in sys.path:
        sys.path.insert(0, "")  # as with `python -m`
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(f"--import {name}: {error}") from error
        _imported.append(name)


def imported_modules() -> list[str]:
    """Those of `import_modules`, which a child process has to import too."""
    return list(dict.fromkeys(_imported))
