"""python -m anchorrec_graph.testing reference FILE..."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from anchorrec_graph.errors import AnchorRecError
from anchorrec_graph.testing.reference import check_file


def main() -> int:
    """Print one JSON object per golden file. Exit 0: all within tolerance, 1: not, 3: one is unreadable."""
    parser = argparse.ArgumentParser(prog="python -m anchorrec_graph.testing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    reference = commands.add_parser("reference", help="compare models with golden files of public code")
    reference.add_argument("files", nargs="+", type=Path)
    code = 0
    for path in parser.parse_args().files:
        try:
            report = check_file(path)
        except AnchorRecError as error:
            print(f"error: {error}", file=sys.stderr)
            code = error.exit_code
            continue
        print(json.dumps({key: _number(value) for key, value in report._asdict().items()}), flush=True)
        code = code or int(not report.passed)
    return code


def _number(value: Any) -> Any:
    """null for NaN and infinity, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
