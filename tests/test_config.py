"""Settings: what is refused and in which words, overrides, round trips, and the files under configs/."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.strict_yaml import dump_yaml, parse_yaml

FILES = sorted((Path(__file__).parents[1] / "configs").rglob("*.yaml"))
SHORT = "dataset: {name: planted}\nmodel: {name: anchorrec}\n"


def load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides)


def refusal(folder: Path, text: str, *overrides: str) -> str:
    """The message, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'c.yaml'}").removeprefix(": ")


def test_scalars_follow_yaml_1_2(tmp_path: Path) -> None:
    config = load(tmp_path, SHORT + "train: {learning_rate: 1e-3, epochs: 010, tensorboard: true}\n")
    assert config.train.learning_rate == 0.001
    assert config.train.epochs == 10  # YAML 1.1 would read 8
    assert config.train.tensorboard is True
    values = parse_yaml(
        "[1e-3, .5, on, no, 12:30, 0x10, ~, null, '', 1_000, 08, -3, '1', 2001-01-01, <<]", "x"
    )
    expected = [
        0.001,
        0.5,
        "on",
        "no",
        "12:30",
        "0x10",
        None,
        None,
        "",
        "1_000",
        8,
        -3,
        "1",
        "2001-01-01",
        "<<",
    ]
    assert values == expected
    assert [type(v) for v in values] == [type(v) for v in expected]


def test_words_stay_strings_where_a_string_is_meant(tmp_path: Path) -> None:
    for word in ("on", "no", "y", "12:30"):
        dataset: Any = load(
            tmp_path, f"dataset: {{name: mmrec, folder: x, inter_file: {word}}}\nmodel: lightgcn\n"
        ).dataset
        assert dataset.inter_file == word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", "not valid YAML in line 2: key 'a' twice"),
        ("train: {epochs: 1, epochs: 2}", "not valid YAML in line 1: key 'epochs' twice"),
        ("a: [1", "not valid YAML in line 1: expected ',' or ']', but got '<stream end>'"),
        ("a: !!python/object:os.system x", "not valid YAML in line 1: could not determine a constructor"),
        ("a: !!int abc", "not valid YAML: invalid literal for int()"),
        ("a: !!float abc", "not valid YAML: could not convert string to float"),
        ("a: !!timestamp abc", "not valid YAML: "),
        ("a: " + "1" * 5000, "not valid YAML: Exceeds the limit"),
        ("? [a]\n: 1", "not valid YAML in line 1: found unhashable key"),
        ("a: \x00", "not valid YAML: unacceptable character"),
        ("a: " + "[" * 5000, "not valid YAML: nested too deeply"),
        ("- a", "expected keys dataset, model, train, evaluate"),
        ("", "expected keys dataset, model, train, evaluate"),
        ("words", "expected keys dataset, model, train, evaluate"),
    ],
)
def test_what_is_not_a_mapping_of_plain_values_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trian: {}", "unknown key 'trian'; did you mean 'train'?"),
        ("zzz: 1", "unknown key 'zzz'; known: dataset, evaluate, model, train"),
        ("1: 2", "unknown key '1'; known: dataset, evaluate, model, train"),
        ("<<: {a: 1}", "unknown key '<<'; known: dataset, evaluate, model, train"),
        ("train: {epoch: 3}", "train: unknown key 'epoch'; did you mean 'epochs'?"),
        ("evaluate: {metric: []}", "evaluate: unknown key 'metric'; did you mean 'metrics'?"),
    ],
)
def test_unknown_keys_name_the_nearest(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, SHORT + text) == expected


@pytest.mark.parametrize(
    ("dataset", "model", "expected"),
    [
        ("{name: plantet}", "lightgcn", "dataset: unknown dataset 'plantet'; did you mean 'planted'?"),
        (
            "{name: planted, num_user: 9}",
            "lightgcn",
            "dataset: unknown key 'num_user'; did you mean 'num_users'?",
        ),
        ("planted", "{name: lightgnc}", "model: unknown model 'lightgnc'; did you mean 'lightgcn'?"),
        ("planted", "{name: 3}", "model: unknown model '3'; known: anchorrec, lightgcn, popularity"),
        ("planted", "{name: anchorrec, los: x}", "model: unknown key 'los'; did you mean 'loss'?"),
        (
            "{name: planted, split: {name: randm}}",
            "lightgcn",
            "dataset.split: unknown split 'randm'; did you mean 'random'?",
        ),
        (
            "{name: planted, split: {name: random, sed: 1}}",
            "lightgcn",
            "dataset.split: unknown key 'sed'; did you mean 'seed'?",
        ),
        (
            "planted",
            "{name: anchorrec, backbone: {name: lightgcn, num_layer: 1}}",
            "model.backbone: unknown key 'num_layer'; did you mean 'num_layers'?",
        ),
        (
            "planted",
            "{name: anchorrec, loss: {name: softmax, temprature: 1}}",
            "model.loss: unknown key 'temprature'; did you mean 'temperature'?",
        ),
        (
            "planted",
            "{name: anchorrec, align: {terms: [{targets: {id: 1}, wight: 2}]}}",
            "model.align.terms.0: unknown key 'wight'; did you mean 'weight'?",
        ),
        (
            "{split: random}",
            "lightgcn",
            "dataset: missing key 'name': the dataset; known: mmrec, movielens, planted",
        ),
    ],
)
def test_unknown_names_and_keys_in_sections_of_many_kinds(
    tmp_path: Path, dataset: str, model: str, expected: str
) -> None:
    assert refusal(tmp_path, f"dataset: {dataset}\nmodel: {model}\n") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {epochs: 0}", "train.epochs: must be greater than 0, got 0"),
        ("train: {epochs: 1.5}", "train.epochs: must be a valid integer, got 1.5"),
        ("train: {epochs: null}", "train.epochs: must be a valid integer, got null"),
        ("train: {epochs: many}", 'train.epochs: must be a valid integer, got "many"'),
        ("train: {learning_rate: on}", 'train.learning_rate: must be a valid number, got "on"'),
        ("train: {learning_rate: 1e999}", "train.learning_rate: must be a finite number, got Infinity"),
        ("train: {learning_rate: nan}", 'train.learning_rate: must be a finite number, got "nan"'),
        ("train: {decay: 1.5}", "train.decay: must be less than or equal to 1, got 1.5"),
        ("train: {seeds: 3}", "train.seeds: must be a list, got 3"),
        ("train: {seeds: []}", "train.seeds: must have at least 1 entry"),
        ("train: {seeds: [-1]}", "train.seeds.0: must be greater than or equal to 0, got -1"),
        (f"train: {{seeds: [{2**63}]}}", f"train.seeds.0: must be less than {2**63}, got {2**63}"),
        ("train: {seeds: [1, 1]}", "train.seeds: a seed occurs twice; it would train the same model again"),
        ("train: 5", "train: must be a section of keys, got 5"),
        ("train: null", "train: must be a section of keys, got null"),
        ("evaluate: {metrics: []}", "evaluate.metrics: must have at least 1 entry"),
        (
            "evaluate: {metrics: [Recall20]}",
            "evaluate.metrics.0: metric 'Recall20' must be a metric and a cutoff, such as 'Recall@20'",
        ),
        ("train: {metric: Recal@20}", "train.metric: unknown metric 'Recal'; did you mean 'Recall'?"),
        ("train: {metric: Recall@7}", "train.metric 'Recall@7' is not in evaluate.metrics; add it there"),
        (
            "train: {epochs: 0, patience: x}",
            'train.epochs: must be greater than 0, got 0; train.patience: must be a valid integer, got "x"',
        ),
    ],
)
def test_wrong_types_and_ranges(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, SHORT + text) == expected


@pytest.mark.parametrize("metric", ["Gini@20", "Coverage@20", "Novelty@20"])
def test_a_metric_without_accuracy_cannot_choose_the_epoch(tmp_path: Path, metric: str) -> None:
    assert "does not measure accuracy" in refusal(tmp_path, SHORT, f"train.metric={metric}")


def test_a_section_may_be_missing_only_if_it_has_defaults(tmp_path: Path) -> None:
    assert refusal(tmp_path, "model: lightgcn") == "dataset: is missing"
    assert load(tmp_path, SHORT).train.epochs > 0


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("train.epochs=7", "train.epochs", 7),
        (" train.epochs = 7 ", "train.epochs", 7),
        ("train.learning_rate=1e-2", "train.learning_rate", 0.01),
        ("train.seeds=[3, 4]", "train.seeds", (3, 4)),
        ("model=lightgcn", "model.name", "lightgcn"),
        ("model.name=lightgcn", "model.name", "lightgcn"),
        ("model.loss=bpr", "model.loss.name", "bpr"),
        ("model.loss={name: softmax, temperature: 1}", "model.loss.temperature", 1.0),
        ("model.feature_dim=null", "model.feature_dim", None),
        ("model.align.weight=0", "model.align.weight", 0.0),
        ("model.align.terms=[{targets: {id: 1}}]", "model.align.terms.0.targets", {"id": 1.0}),
        ("dataset.split=leave_last", "dataset.split.name", "leave_last"),
        ("dataset.split.name=leave_last", "dataset.split.name", "leave_last"),
        ("dataset=movielens", "dataset.name", "movielens"),
        ("evaluate.mask=[train]", "evaluate.mask", ("train",)),
    ],
)
def test_overrides(tmp_path: Path, override: str, path: str, expected: Any) -> None:
    value: Any = load(tmp_path, SHORT, override)
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    assert value == expected


def test_a_bare_name_takes_overrides_below_it(tmp_path: Path) -> None:
    config = load(tmp_path, "dataset: planted\nmodel: lightgcn\n", "model.embedding_dim=8", "train.epochs=2")
    assert (config.model.name, config.model.embedding_dim, config.train.epochs) == ("lightgcn", 8, 2)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "override 'train.epochs': expected key=value, for example train.epochs=50"),
        ("=3", "override '=3': expected key=value, for example train.epochs=50"),
        ("train.epochs=[", "override 'train.epochs=[': not valid YAML in line 1"),
        ("train.epoch=3", " -o train.epoch=3: train: unknown key 'epoch'; did you mean 'epochs'?"),
        ("train=", " -o train=: train: must be a section of keys, got null"),
        (
            "model.align.terms.0.weight=2",
            " -o model.align.terms.0.weight=2: model.align.terms: must be a list",
        ),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, expected: str) -> None:
    assert refusal(tmp_path, SHORT, override).startswith(expected)


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    expected = "override 'train.epochs.x=1': 'epochs' holds a value, not a section"
    assert refusal(tmp_path, SHORT + "train: {epochs: 3}", "train.epochs.x=1") == expected


def test_another_name_for_a_complete_section_says_how_to_replace_it(tmp_path: Path) -> None:
    complete = load(tmp_path, SHORT).to_yaml()
    message = refusal(tmp_path, complete, "model.loss.name=bpr")
    assert "model.loss: unknown key" in message
    assert message.endswith("; to replace a whole section write -o model.loss=bpr")
    assert load(tmp_path, complete, "model.loss=bpr").model.loss.name == "bpr"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file; examples are in configs/"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "latin.yaml")


def test_settings_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path, SHORT).train.epochs = 3


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=lightgcn"],
        ["model=popularity"],
        ["train.learning_rate=1e-5", "train.seeds=[5, 1]", "dataset.split=leave_last"],
        ["model.align.terms=[{targets: {id: 1, image: .25}, detach_anchor: true}]", "model.loss=bpr"],
        ["dataset={name: mmrec, folder: /a b/é, features: {'1e-3': x.npy, 'no': 010.npy}}", "model.loss=bpr"],
    ],
)
def test_to_yaml_reads_back_equal(tmp_path: Path, overrides: list[str]) -> None:
    config = load(tmp_path, SHORT, *overrides)
    again = load(tmp_path, config.to_yaml())
    assert again == config
    assert again.hash == config.hash
    assert again.to_yaml() == config.to_yaml()


def test_hash_tells_settings_apart(tmp_path: Path) -> None:
    changes = [[], ["train.epochs=7"], ["model.loss=bpr"], ["dataset.seed=1"], ["train.seeds=[1]"]]
    hashes = [load(tmp_path, SHORT, *change).hash for change in changes]
    assert len(set(hashes)) == len(changes)
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in hashes)


def test_hash_does_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    text = (
        "dataset: planted\nmodel: {name: anchorrec, align: {terms: [{targets: {image: .25, text: .75}}]}}\n"
    )
    complete = parse_yaml(load(tmp_path, text).to_yaml(), "x")
    shuffled = load(tmp_path, dump_yaml(shuffle(complete, random.Random(0))))
    assert shuffled.to_yaml() != load(tmp_path, text).to_yaml()
    assert shuffled.hash == load(tmp_path, text).hash


def shuffle(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffle(entry, rng) for entry in value]
    if isinstance(value, dict):
        keys = rng.sample(sorted(value), len(value))
        return {key: shuffle(value[key], rng) for key in keys}
    return value


leaves = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
words = st.sampled_from(["1e-3", "010", "on", "no", "12:30", "<<", "~", "", "1_0", "0x10", ".5", "=", "null"])
values = st.recursive(
    leaves | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | words, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_value_survives_yaml(value: Any) -> None:
    assert repr(parse_yaml(dump_yaml(value), "x")) == repr(value)


def test_there_are_configurations() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_configurations_load_and_are_complete(path: Path) -> None:
    """Every setting is written out, and the first line says what to expect."""
    config, text = load_config(path), path.read_text(encoding="utf-8")
    assert config.model.name == path.parent.name
    assert text.startswith("# ")
    assert parse_yaml(text, str(path)) == config.model_dump(mode="json")
