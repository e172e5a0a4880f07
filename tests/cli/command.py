"""The command `anchorrec` in this process: importing torch for each call would take seconds."""

from __future__ import annotations

import json
import warnings
from typing import Any, NamedTuple

import pytest

from anchorrec_graph.cli.app import main


class Done(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, which must be one line of JSON and nothing else."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=pytest.fail)

    def error(self, code: int) -> str:
        """The one line on standard error of a command that failed."""
        assert (self.code, self.out) == (code, ""), self
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object) -> Done:
        self.capsys.readouterr()
        code = 0
        with self.monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr("sys.argv", ["anchorrec", *map(str, arguments)])
            warnings.simplefilter("default")  # as outside of tests: shown, not raised
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else -1
        return Done(code, *self.capsys.readouterr())
