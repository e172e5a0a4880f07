"""Limits in YAML, and what an audit says to them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from audit_world import audit_of, random_model, shop

from anchorrec_graph.audit import Audit, Check, LimitExceeded, Limits, check_limits
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.strict_yaml import parse_yaml

EXAMPLE = Path(__file__).parents[2] / "configs/audit.yaml"


def load(folder: Path, *rules: str) -> Limits:
    path = folder / "limits.yaml"
    path.write_text("rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules), encoding="utf-8")
    return Limits.load(path)


@pytest.fixture(scope="module")
def found() -> Audit:
    data = shop()
    return audit_of(data, random_model(), by=["genres", "country", "popularity", "activity"], least=5)


def checks(found: Audit, folder: Path, rule: str) -> list[Check]:
    return check_limits(found, load(folder, rule))


def test_the_example_is_read_and_holds_what_it_says(found: Audit) -> None:
    limits = Limits.load(EXAMPLE)
    assert {rule.measure for rule in limits.rules} > {"recall", "recall_gap", "lift", "js", "popularity_lift"}
    assert limits.by == ["activity", "popularity"]
    assert len(check_limits(found, limits)) == len(limits.rules)
    commented = [line.removeprefix("  # ") for line in EXAMPLE.read_text().splitlines() if "# - {" in line]
    assert len(commented) == 2
    assert Limits.model_validate({"rules": parse_yaml("\n".join(commented), "example")}).by == ["genres"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("measure: recal_gap, by: x, max: 1", "rules.0.measure: unknown measure 'recal_gap'; did you mean"),
        ("measure: recall, maximum: 1", "rules.0: unknown key 'maximum'; did you mean 'max'?"),
        ("measure: recall", "rules.0: give min, max or both"),
        ("measure: recall, min: 2, max: 1", "rules.0: min 2.0 is above max 1.0"),
        ("measure: recall, max: high", 'rules.0.max: must be a valid number, got "high"'),
        ("measure: kl, max: 1", "rules.0: kl needs the key 'by', such as by: popularity"),
        ("measure: lift_gap, max: 1", "rules.0: lift_gap needs the key 'by', such as by: popularity"),
        ("measure: gini, by: genres, max: 1", "rules.0: gini is of all lists together: leave out 'by'"),
        ("measure: js, by: x, group: y, max: 1", "rules.0: group needs 'by' and a measure of groups"),
        ("measure: recall, group: q1, max: 1", "rules.0: group needs 'by' and a measure of groups"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused(tmp_path: Path, rule: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, rule)
    assert str(caught.value).startswith(f"{tmp_path / 'limits.yaml'}: {message}")
    assert caught.value.exit_code == 2


def test_files_that_hold_no_rules_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    for text, message in [
        ("rules: []", "rules: must have at least 1 entry"),
        ("ruls: []", "unknown key 'ruls'; did you mean 'rules'?"),
        ("rules: [", "not valid YAML in line 1"),
        ("", "must be a section of keys"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"limits\.yaml") as caught:
            Limits.load(path)
        assert message in str(caught.value)
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read; an example is configs/audit.yaml"):
        Limits.load(tmp_path / "none.yaml")


def test_a_limit_on_all_lists(found: Audit, tmp_path: Path) -> None:
    recall = found.groups.filter(of="lists", measure="recall").row(0, named=True)
    (check,) = checks(found, tmp_path, f"measure: recall, min: {recall['value']}, max: {recall['value']}")
    assert check.holds
    assert (check.value, check.low, check.high) == (recall["value"], recall["low"], recall["high"])
    (check,) = checks(found, tmp_path, f"measure: recall, min: {recall['value'] + 1e-9}")
    assert not check.holds
    assert check.message.startswith(f"model: recall is {recall['value']:.4g}, below its limit ")
    assert "95 % interval" in check.message
    (check,) = checks(found, tmp_path, "measure: gini, max: 0.01")
    assert check.message == f"model: gini is {check.value:.4g}, above its limit 0.01"
    (check,) = checks(found, tmp_path, "measure: diversity image, min: 0.1")
    assert check.holds


def test_a_limit_on_every_group_and_on_one(found: Audit, tmp_path: Path) -> None:
    lifts = dict(found.groups.filter(measure="lift", by="genres").select("group", "value").rows())
    found_checks = checks(found, tmp_path, "measure: lift, by: genres, max: 1")
    assert {check.group: check.value for check in found_checks} == {
        name: value for name, value in lifts.items() if name != "(all)"
    }
    assert [check.holds for check in found_checks] == [check.value <= 1 for check in found_checks]
    (one,) = checks(found, tmp_path, "measure: lift, by: genres, group: Drama, max: 0")
    assert one.message.startswith(
        f"model: lift by genres of Drama is {lifts['Drama']:.4g}, above its limit 0;"
    )
    users = checks(found, tmp_path, "measure: popularity_lift, by: country, max: 9")
    assert [check.group for check in users] == ["dk", "no", "se"]


def test_a_limit_on_a_gap(found: Audit, tmp_path: Path) -> None:
    gap = found.gaps.filter(pl.col("against") != "(all)", measure="recall", by="country").row(0, named=True)
    (check,) = checks(found, tmp_path, "measure: recall_gap, by: country, max: 0")
    assert check.value == gap["value"] > 0
    assert f"recall_gap by country ({gap['group']} minus {gap['against']}) is" in check.message


def test_a_limit_on_calibration_is_on_all_lists(found: Audit, tmp_path: Path) -> None:
    (check,) = checks(found, tmp_path, "measure: kl, by: genres, max: 0.001")
    assert check.group == ""
    assert check.value == found.groups.filter(measure="kl", by="genres")["value"].item()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("measure: lift, by: genre, max: 1", "unknown grouping 'genre'; did you mean 'genres'?"),
        ("measure: lift, by: genres, group: Dramas, max: 1", "unknown group 'Dramas'; did you mean 'Drama'?"),
        ("measure: lift, by: country, max: 1", "groups of users have recall, ndcg and popularity_lift, if"),
        ("measure: popularity_lift_gap, by: genres, max: 1", "groups of items have recall, ndcg and lift"),
        ("measure: diversity sound, max: 1", "the data has no such modality, or no user a list"),
    ],
)
def test_what_the_audit_does_not_have_is_refused(
    found: Audit, tmp_path: Path, rule: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        checks(found, tmp_path, rule)
    assert message in str(caught.value)


def test_missing_values_of_a_named_group_are_refused_and_of_others_left_out(tmp_path: Path) -> None:
    """Films with few held-out users have no recall."""
    data = shop()
    edges = data["user", "interacts", "item"]
    genre = data["item"].table["genres"].str.contains("Sci-Fi").fill_null(False).to_list()
    pairs = edges.test_edge_label_index
    edges.test_edge_label_index = pairs[:, ~torch.tensor(genre)[pairs[1]]]
    sparse = audit_of(data, random_model(), by=["genres"], least=5)
    names = [check.group for check in checks(sparse, tmp_path, "measure: recall, by: genres, min: 0")]
    assert "Drama" in names
    assert "Sci-Fi" not in names
    with pytest.raises(ConfigError, match=r"limit 'recall by genres of Sci-Fi': .* no such value"):
        checks(sparse, tmp_path, "measure: recall, by: genres, group: Sci-Fi, min: 0")


def test_exit_code() -> None:
    assert LimitExceeded.exit_code == 6
