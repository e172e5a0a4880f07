"""Which rows a table has: configuration files or runs, and their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.train.run import RunFolder


class Entry(NamedTuple):
    """A row that is trained here, or was."""

    label: str
    config: Config
    path: Path  # where the settings were read from


def read_entries(arguments: Sequence[str], overrides: Sequence[str] = ()) -> list[Entry]:
    """Configuration files, each written `FILE` or `LABEL=FILE`.

    The label is the model's name, or `<model>/<file stem>` where several files without a label have the
    same model.

    Args:
        overrides: applied to every file, see `load_config`.

    Raises:
        ConfigError: a file or override is wrong, or two files have the same label.
    """
    named = [split_label(argument) for argument in arguments]
    return _label(named, [load_config(path, overrides) for _, path in named], lambda path: path.stem)


def run_entries(arguments: Sequence[str]) -> list[Entry]:
    """Run folders, each written `FOLDER` or `LABEL=FOLDER`; `path` is the folder.

    The label is the model's name, or `<model>/<folder name>` where several folders without a label have
    the same model.

    Raises:
        ConfigError: there are none, or two have the same label.
        RunError: one is no run, or damaged.
    """
    if not arguments:
        raise ConfigError("name at least one run folder")
    named = [split_label(argument) for argument in arguments]
    return _label(named, [RunFolder.open(path).config for _, path in named], lambda path: path.resolve().name)


def _label(
    named: Sequence[tuple[str | None, Path]], configs: Sequence[Config], short: Callable[[Path], str]
) -> list[Entry]:
    models = Counter(c.model.name for (label, _), c in zip(named, configs, strict=True) if label is None)
    entries = []
    for (label, path), config in zip(named, configs, strict=True):
        model = config.model.name
        default = f"{model}/{short(path)}" if models[model] > 1 else model
        entries.append(Entry(default if label is None else label, config, path))
    check_labels([entry.label for entry in entries])
    return entries


def split_label(argument: str) -> tuple[str | None, Path]:
    """`LABEL=PATH` or `PATH`; a path that exists may itself hold an equals sign.

    Raises:
        ConfigError: nothing before or after the equals sign.
    """
    text, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return None, Path(argument)
    label = " ".join(text.split())
    if not label or not path:
        raise ConfigError(f"'{argument}': expected LABEL=PATH")
    return label, Path(path)


def check_labels(labels: Sequence[str]) -> None:
    """Refuse a label that occurs twice.

    Raises:
        ConfigError: naming it.
    """
    for label, count in Counter(labels).items():
        if count > 1:
            raise ConfigError(f"{count} rows have the label '{label}'; tell them apart with LABEL=PATH")
