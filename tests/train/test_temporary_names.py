"""Names of files that are being written: two machines share none, and what a killed writer left is found."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from anchorrec_graph.files import new_folder, remove_leftovers, replacing


@pytest.mark.parametrize("name", ["node-1.example.org", "Größe \ud800/\\*..", ""])
def test_leftovers_are_found_whatever_the_machine_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(platform, "node", lambda: name)
    with replacing(tmp_path / "file") as file, new_folder(tmp_path / "folder") as folder:
        file.touch()
        assert {file.parent, folder.parent} == {tmp_path}
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == []
        file.touch()
        folder.mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_two_machines_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of the same number that write the same file on a disk that they share."""
    with replacing(tmp_path / "file") as first:
        monkeypatch.setattr(platform, "node", lambda: "another")
        with replacing(tmp_path / "file") as second:
            assert second != first
            second.write_text("second")
        first.write_text("first")
    assert (tmp_path / "file").read_text() == "first"
