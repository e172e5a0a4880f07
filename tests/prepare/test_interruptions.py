"""Nothing half-written: errors and kills at every file that takes its place, reruns, two runs at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import server
from raw_shop import contents, fail_at, make, make_until_killed, shop_settings

from anchorrec_graph.errors import DataError
from anchorrec_graph.files import locked
from anchorrec_graph.prepare.pipeline import survey
from anchorrec_graph.prepare.sources.table import Table


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read from now on."""
    names: list[str] = []
    for method in ("read_interactions", "read_items"):
        monkeypatch.setattr(Table, method, _noting(getattr(Table, method), names))
    return names


def _noting(read: Any, names: list[str]) -> Any:
    def noting(self: Table, path: Path, rejects: Any) -> Iterator[Any]:
        names.append(path.name)
        yield from read(self, path, rejects)

    return noting


def raise_full() -> None:
    raise OSError(28, "No space left on device", "somewhere")


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_error_at_any_write_leaves_nothing_and_a_rerun_finishes(tmp_path: Path, overwrite: bool) -> None:
    config = shop_settings(tmp_path / "raw", split="leave_last")
    make(config, tmp_path / "expected")
    expected, out, old = contents(tmp_path / "expected"), tmp_path / "out", {}
    for count in range(1, 100):
        if overwrite:
            make(shop_settings(tmp_path / "raw"), out)
            old = contents(out)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", fail_at(count, raise_full))
            try:
                make(config, out, overwrite=overwrite)
                break
            except OSError:
                pass
        assert (contents(out) if out.exists() else {}) == old
        assert not (tmp_path / "out.partial/result").exists()
        make(config, out, overwrite=overwrite)
        assert contents(out) == expected
        assert not (tmp_path / "out.partial").exists()
        make(config, out, overwrite=True)  # so that the next round starts from nothing
        for path in out.iterdir():
            path.unlink()
        out.rmdir()
    assert (
        count == 12 + overwrite
    )  # 3 files read as piece and mark, 4 of the layout, the folder, the old folder
    assert contents(out) == expected


@pytest.mark.parametrize(
    ("count", "overwrite"), [(2, False), (5, False), (8, False), (11, False), (12, True)]
)
def test_after_a_kill_the_same_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, overwrite: bool
) -> None:
    config, out = shop_settings(tmp_path / "raw", split="leave_last"), tmp_path / "out"
    make(config, tmp_path / "expected")
    if overwrite:
        make(shop_settings(tmp_path / "raw"), out)
    process = server().Process(target=make_until_killed, args=(config, out, count, overwrite))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert not out.exists()  # of an overwritten folder: moved away, and put back by the next call
    read = counted_reads(monkeypatch)
    if overwrite:
        with pytest.raises(DataError, match="was made from other files or settings"):
            make(config, out)
    make(config, out, overwrite=overwrite)
    assert read == ["a.csv", "b.csv", "items.jsonl"][(count - 1) // 2 :]
    assert contents(out) == contents(tmp_path / "expected")
    assert not (tmp_path / "out.partial").exists()


def test_pieces_of_changed_files_or_settings_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    with pytest.raises(DataError, match="no interaction is left"):
        make(shop_settings(raw, user_core=1000), out)
    read = counted_reads(monkeypatch)
    with pytest.raises(DataError, match="no interaction is left"):
        make(shop_settings(raw, item_core=1000), out)
    assert read == []
    config = shop_settings(raw, item_core=1000)
    text = (raw / "b.csv").read_text()
    (raw / "b.csv").write_text(text + "new,B001,5,1\n")
    with pytest.raises(DataError, match="no interaction is left"):
        make(config, out)
    assert read == ["b.csv", "items.jsonl"]
    (raw / "b.csv").write_text(text)
    other = config.source.model_copy(update={"rating_column": None})
    make(config.model_copy(update={"source": other, "item_core": 0}), out)
    assert read[2:] == ["a.csv", "b.csv", "items.jsonl"]


def test_a_finished_folder_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "out", shop_settings(tmp_path / "raw")
    first = make(config, out)
    before, read = contents(out), counted_reads(monkeypatch)
    again = make(config, out)
    assert (first.made, again.made, again.manifest) == (True, False, first.manifest)
    (tmp_path / "raw").rename(tmp_path / "moved")
    assert not make(shop_settings(tmp_path / "moved"), out).made  # the same files elsewhere
    with pytest.raises(DataError, match=r"out: was made from other files or settings; give another --out"):
        make(shop_settings(tmp_path / "moved", user_core=1), out)
    assert (read, contents(out)) == ([], before)
    (out / "users.parquet").write_bytes(before["users.parquet"][:-1] + b"x")
    with pytest.raises(DataError, match=r"users.parquet: the content is not what manifest.json says"):
        make(shop_settings(tmp_path / "moved"), out)
    assert make(shop_settings(tmp_path / "moved", user_core=1), out, overwrite=True).made
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved", "out"]


def test_nothing_else_is_ever_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("{}")  # run folders have one too
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"out: exists and is no prepared folder; give another --out"):
            make(shop_settings(tmp_path / "raw"), out, overwrite=overwrite)
    assert contents(tmp_path / "out") == {"manifest.json": b"{}"}
    assert not (tmp_path / "out.partial").exists()
    (out / "manifest.json").unlink()
    assert make(shop_settings(tmp_path / "raw"), out).made  # an empty folder is free


def test_a_foreign_folder_is_not_worked_in(tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial/thesis.txt").write_text("x")
    with pytest.raises(DataError, match=r"out.partial: is needed to work in, but holds thesis.txt"):
        make(shop_settings(tmp_path / "raw"), tmp_path / "out")
    assert (tmp_path / "out.partial/thesis.txt").exists()


def test_the_working_directory_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = shop_settings(tmp_path / "raw")
    monkeypatch.chdir(tmp_path / "raw")
    with pytest.raises(DataError, match="exists and is no prepared folder"):
        make(config, Path("."))
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_two_runs_at_once(tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    with locked(tmp_path / "out.partial/lock"), pytest.raises(DataError, match="another anchorrec command"):
        make(shop_settings(tmp_path / "raw"), tmp_path / "out")
    assert make(shop_settings(tmp_path / "raw"), tmp_path / "out").made


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "raw/a.csv"

    def change(line: str) -> None:
        path.write_text(path.read_text() + "late,B001,5,1\n")

    with pytest.raises(DataError, match=r"a.csv: was changed while it was read"):
        survey(shop_settings(tmp_path / "raw"), change)


def test_missing_files_are_named(tmp_path: Path) -> None:
    config = shop_settings(tmp_path / "raw")
    (tmp_path / "raw/b.csv").unlink()
    with pytest.raises(DataError, match=r"b.csv: no such file; check the paths"):
        make(config, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]
