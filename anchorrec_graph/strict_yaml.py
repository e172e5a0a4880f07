"""YAML as people expect it: version 1.2 scalars, no duplicate keys, errors on one line."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from anchorrec_graph.errors import ConfigError


def parse_yaml(text: str, source: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: it is not YAML, or holds a key twice or a tag; the message names `source` and the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}: not valid YAML{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, AttributeError) as error:  # the latter two: `!!int abc` and the like
        raise ConfigError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: not valid YAML: nested too deeply") from error


def dump_yaml(value: Any) -> str:
    """YAML text that `parse_yaml` reads back to an equal value, in the order of the keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=110)


class _Loader(yaml.SafeLoader):
    """`1e-3` and `010` are decimal numbers; `on`, `no` and `12:30` are strings; `<<` is a key."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' twice", key_node.start_mark)
            seen.append(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 would read as something else."""


for _tag, _pattern, _first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
]:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
