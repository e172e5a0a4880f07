"""anchorrec report"""

from __future__ import annotations

from pathlib import Path

from command import Command


def test_writes_a_page(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages/one.html"
    done = anchorrec(
        "report", run, "--out", out, "--color", "words", "--highlight", "i3", "--figures", tmp_path
    )
    assert done.code == 0, done.err
    assert (done.code, done.out) == (0, f"report: {out}\n")
    assert [line.split("]")[0] for line in done.err.splitlines()] == [f"[{n}/9" for n in range(1, 10)]
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "anchorrec report" in text
    assert (tmp_path / "map-pca-1.svg").exists()


def test_usage(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    assert "must end in .html" in anchorrec("report", run, "--out", tmp_path / "page.pdf").error(2)
    assert "no run here" in anchorrec("report", tmp_path, "--out", tmp_path / "page.html").error(4)


def test_help(anchorrec: Command) -> None:
    done = anchorrec("report", "--help")
    assert (done.code, done.err) == (0, "")
    assert all(option in done.out for option in ("--out FILE", "--figures FOLDER", "--images FOLDER"))
