"""What a conformance rule is, and how its breach is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

CaseT = TypeVar("CaseT")
SUM_TOLERANCE = 1e-5  # of sums that rounding may change


def require(holds: bool, problem: str) -> None:
    """Raise AssertionError with `problem` unless `holds` (also under `python -O`)."""
    if not holds:
        raise AssertionError(problem)


def check_rules(subject: str, rules: Mapping[str, Callable[[CaseT], None]], case: CaseT) -> None:
    """Run every rule on `case`, with the global random state put back afterwards.

    Raises:
        AssertionError: `<subject> breaks the rule '<rule>': <what was seen>`, for the first one broken.
    """
    for name, rule in rules.items():
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                rule(case)
        except AssertionError as error:
            raise AssertionError(f"{subject} breaks the rule '{name}': {error}") from None
        except Exception as error:
            problem = f"it raised {type(error).__name__}: {error}"
            raise AssertionError(f"{subject} breaks the rule '{name}': {problem}") from error


def check_finite(what: str, values: Tensor) -> None:
    """Name the rows of `values` that hold NaN or infinity."""
    rows = torch.nonzero(~torch.isfinite(values).reshape(len(values), -1).all(1)).flatten().tolist()
    require(not rows, f"{what} has {len(rows)} rows that are not finite, the first is row {rows[:1]}")


def check_equal(what: str, found: Tensor, expected: Tensor, tolerance: float = 0.0) -> None:
    """Require equal shapes and |found - expected| <= tolerance * max(1, |expected|_max)."""
    require(found.shape == expected.shape, f"{what}: shape {list(found.shape)}, not {list(expected.shape)}")
    scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
    gap = float((found - expected).detach().abs().max()) if expected.numel() else 0.0
    require(gap <= tolerance * scale, f"{what}: differs by up to {gap:.3g}")
