"""Configurations of a few lines, and the messages of those that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError

SHORT = "dataset: {name: planted}\nmodel: {name: anchorrec}\n"


def load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides)


def refusal(folder: Path, text: str, *overrides: str) -> str:
    """The message, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'c.yaml'}").removeprefix(": ")
