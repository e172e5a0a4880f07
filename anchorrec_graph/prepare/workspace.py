"""`<out>.partial`, where a folder is made before it takes its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from anchorrec_graph.data.prepared import REJECTS
from anchorrec_graph.errors import DataError
from anchorrec_graph.files import locked
from anchorrec_graph.prepare.pieces import DONE

PIECES, RESULT, REPLACED, LOCK = "pieces", "result", "replaced", "lock"
OURS = {PIECES, RESULT, REPLACED, LOCK, REJECTS}  # all that may lie there: it is deleted in the end


@contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """Yield `<out>.partial`, locked. It goes when the block succeeds; else what was read stays for a rerun.

    Raises:
        DataError: another process works there, or the folder holds something else.
    """
    out = Path(os.path.abspath(out))  # `.` has no name
    partial = out.parent / f"{out.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    foreign = sorted({path.name for path in partial.iterdir()} - OURS)
    if foreign:
        raise DataError(f"{partial}: is needed to work in, but holds {foreign[0]}; give another --out")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(partial / LOCK))
            (partial / LOCK).stat()  # gone if the other process has finished in between
        except (BlockingIOError, FileNotFoundError) as error:
            raise DataError(
                f"{out}: another anchorrec command is making it; wait for it, or give another --out"
            ) from error
        _restore(out, partial)
        for leftover in (RESULT, REPLACED):  # of a run that was killed
            shutil.rmtree(partial / leftover, ignore_errors=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial / RESULT, ignore_errors=True)
            if not any(partial.glob(f"{PIECES}/*/{DONE}")) and not (partial / REPLACED).exists():
                shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(partial)


def publish(out: Path, partial: Path) -> None:
    """Put the finished result at `out`. What stands there is moved away first, and back if that fails."""
    try:
        if out.exists():
            os.replace(out, partial / REPLACED)
        os.replace(partial / RESULT, out)
    finally:
        _restore(out, partial)


def _restore(out: Path, partial: Path) -> None:
    """Put back what was moved away, if the run ended before the new folder took its place."""
    if (partial / REPLACED).exists() and not out.exists():
        os.replace(partial / REPLACED, out)
