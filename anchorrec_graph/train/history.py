"""The record of a training: one JSON object per epoch, and TensorBoard events if asked for."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.files import replacing


class History:
    """Appends to `history.jsonl`. Records after `epoch` (of a run that was killed) are dropped first."""

    def __init__(self, path: Path, epoch: int, tensorboard: bool) -> None:
        kept = [record for record in read_history(path) if record["epoch"] <= epoch]
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        self.events = _event_writer(path.parent, epoch) if tensorboard else None
        self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115  closed in __exit__

    def write(self, record: dict[str, Any]) -> None:
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        if self.events is not None:
            scalars = {f"loss/{name}": value for name, value in record["terms"].items()}
            scalars |= {f"validation/{name}": value for name, value in record["validation"].items()}
            for name, value in scalars.items():
                self.events.add_scalar(name, value, record["epoch"])

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
        if self.events is not None:
            self.events.close()


def read_history(path: Path) -> list[dict[str, Any]]:
    """The records of a history file; a last line cut short by a kill is left out.

    Raises:
        RunError: another line is damaged.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise RunError(f"{path}: line {number} is damaged; delete it to go on without it") from error
    return records


def _event_writer(folder: Path, epoch: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "train.tensorboard needs TensorBoard: pip install 'anchorrec_graph[track]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=epoch + 1)
