"""`Limits`: thresholds in a YAML file that an audit must keep, and the check that it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Self

import polars as pl
from pydantic import Field, ValidationError, field_validator, model_validator

from anchorrec_graph.audit.audit import Audit
from anchorrec_graph.audit.columns import ALL, OTHER
from anchorrec_graph.audit.tables import is_whole_gap
from anchorrec_graph.audit.users import DIVERSITY
from anchorrec_graph.config import describe
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.settings import Settings, unknown_name
from anchorrec_graph.strict_yaml import parse_yaml

OF_LISTS_ONLY = ("coverage", "gini")
LISTS = ("recall", "ndcg", "popularity_lift", *OF_LISTS_ONLY)  # of all lists, without `by`
DISTANCES = ("kl", "js")  # of all lists, `by` groups of items
OF_GROUPS = ("recall", "ndcg", "lift", "exposure", "weighted_exposure", "popularity_lift")
GAPS = tuple(f"{name}_gap" for name in ("recall", "ndcg", "lift", "popularity_lift"))
MEASURES = list(dict.fromkeys([*LISTS, *DISTANCES, *OF_GROUPS, *GAPS]))


class LimitExceeded(AnchorRecError):
    """An audit went beyond a limit."""

    exit_code = 6


class Rule(Settings):
    """One limit: `min` <= value <= `max`, for every model of the audit with all its views.

    The value is the mean over seeds of `measure`:
    without `by`, of all lists: recall, ndcg, popularity_lift, coverage, gini, diversity <modality>;
    with `by`, kl or js: of all lists, against the users' histories;
    with `by`, <measure>_gap: largest minus smallest group;
    with `by`, any other: of `group`, or of each group that has a value but `(other)`.
    """

    measure: str
    by: str | None = None
    group: str | None = None
    min: float | None = None
    max: float | None = None

    @field_validator("measure")
    @classmethod
    def _known(cls, measure: str) -> str:
        if measure not in MEASURES and not measure.startswith(DIVERSITY):
            raise ValueError(unknown_name("measure", measure, MEASURES))
        return measure

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.by is None and self.measure not in LISTS and not self.measure.startswith(DIVERSITY):
            raise ValueError(f"{self.measure} needs the key 'by', such as by: popularity")
        if self.by is not None and self.measure in OF_LISTS_ONLY:
            raise ValueError(f"{self.measure} is of all lists together: leave out 'by'")
        if self.group is not None and (self.by is None or self.measure in (*DISTANCES, *GAPS)):
            raise ValueError("group needs 'by' and a measure of groups, which gaps, kl and js are not")
        return self

    @property
    def title(self) -> str:
        parts = [self.measure, *([f"by {self.by}"] if self.by else [])]
        return " ".join([*parts, *([f"of {self.group}"] if self.group else [])])


class Limits(Settings):
    """The rules that an audit must keep."""

    rules: tuple[Rule, ...] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> Limits:
        """Read a YAML file, see configs/audit.yaml.

        Raises:
            ConfigError: the file cannot be read, or a key, measure or bound is wrong.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read; an example is configs/audit.yaml") from error
        try:
            return cls.model_validate(parse_yaml(text, str(path)))
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe(error)}") from error

    @property
    def by(self) -> list[str]:
        """The groupings that the rules need."""
        return list(dict.fromkeys(rule.by for rule in self.rules if rule.by is not None))


class Check(NamedTuple):
    """What an audit says to one rule, for one model and, where the rule is for groups, one group."""

    rule: str
    model: str
    group: str  # "" for all lists; of a gap, both groups
    value: float
    low: float | None
    high: float | None
    min: float | None
    max: float | None

    @property
    def holds(self) -> bool:
        return self.broken is None

    @property
    def broken(self) -> str | None:
        """Which bound the value is beyond."""
        if self.max is not None and self.value > self.max:
            return f"above its limit {self.max:g}"
        if self.min is not None and self.value < self.min:
            return f"below its limit {self.min:g}"
        return None

    @property
    def message(self) -> str:
        group = f" ({self.group})" if self.group else ""
        spread = "" if self.low is None else f"; 95 % interval {self.low:.4g} to {self.high:.4g}"
        verdict = self.broken or "within its limits"
        return f"{self.model}: {self.rule}{group} is {self.value:.4g}, {verdict}{spread}"


def check_limits(audit: Audit, limits: Limits) -> list[Check]:
    """Every rule on every model with all its views.

    Raises:
        ConfigError: the audit has no such groups, group or value.
    """
    return [
        check for rule in limits.rules for model in audit.about.seeds for check in _check(audit, rule, model)
    ]


def _check(audit: Audit, rule: Rule, model: str) -> list[Check]:
    here = {"model": model, "without": "", "by": rule.by or ALL}
    if rule.measure in GAPS:
        rows = audit.gaps.filter(is_whole_gap(), measure=rule.measure.removesuffix("_gap"), **here)
        rows = rows.with_columns(group=pl.format("{} minus {}", "group", "against"))
    else:
        rows = audit.groups.filter(measure=rule.measure, **here)
        if rule.by is not None and rule.measure not in DISTANCES:
            rows = rows.filter(~pl.col("group").is_in([ALL] if rule.group else [ALL, OTHER]))
        if rule.group is not None:
            known = rows["group"].to_list()
            rows = rows.filter(group=rule.group)
            if known and rows.is_empty():
                raise ConfigError(f"limit '{rule.title}': " + unknown_name("group", rule.group, known))
    rows = rows.filter(pl.col("value").is_not_null())
    if rows.is_empty():
        raise ConfigError(
            f"limit '{rule.title}': the audit of {model} has no such value; {_why(audit, rule)}"
        )
    return [_of_row(rule, model, row) for row in rows.iter_rows(named=True)]


def _of_row(rule: Rule, model: str, row: dict[str, Any]) -> Check:
    group = "" if row["group"] == ALL or rule.group else row["group"]
    return Check(rule.title, model, group, row["value"], row["low"], row["high"], rule.min, rule.max)


def _why(audit: Audit, rule: Rule) -> str:
    of_items = [by for of, by, _ in audit.about.groups if of == "items"]
    of_users = [by for of, by, _ in audit.about.groups if of == "users"]
    if rule.by is not None and rule.by not in of_items + of_users:
        return unknown_name("grouping", rule.by, of_items + of_users)
    if rule.by is None:
        return "the data has no such modality, or no user a list"
    of, measures = ("items", "lift") if rule.by in of_items else ("users", "popularity_lift")
    large = f"if they are large enough (at least {audit.about.least}, --min-size)"
    return f"groups of {of} have recall, ndcg and {measures}, {large}"
