"""anchorrec explain"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command

from anchorrec_graph.cli.explain import print_explanation
from anchorrec_graph.config import load_config
from anchorrec_graph.explain import Explainer, Explanation, Own, Purchase, Similar, ViewPart
from anchorrec_graph.train.fit import fit


def test_tables(anchorrec: Command, run: Path) -> None:
    done = anchorrec("explain", run, "-u", "u3", "-i", "i7", "-k", 2)
    assert (done.code, done.err) == (0, "")
    found = Explainer.from_run(run).explain("u3", "i7")
    assert f"(i7) for user u3: score {found.score:.4f}, rank {found.rank} of {found.candidates}" in done.out
    assert f"most of it comes from {found.views[0].view}" in done.out
    for title in ("where the score comes from", "which of the user's items it comes through", "most like it"):
        assert title in done.out
    assert found.purchases is not None
    assert f"{len(found.purchases) - 2} other items together" in done.out
    assert "(none of them)" in done.out


def test_json_and_file_hold_everything(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new/u3.json"
    report = anchorrec("explain", run, "-u", "u3", "--json", "--out", out).json()
    assert report == {"run": str(run), **Explainer.from_run(run).explain("u3").to_dict()}
    assert json.loads(out.read_text()) == report
    assert report["rank"] == 1
    assert sum(part["value"] for part in report["pairs"]) == pytest.approx(report["score"], abs=1e-5)
    done = anchorrec("explain", run, "-u", "u3", "--out", out)
    assert done.out.endswith(f"written to {out}\n")
    assert not anchorrec("explain", run, "-u", "u3", "--out", out, "-q").out.endswith(f"{out}\n")


def test_shapley(anchorrec: Command, run: Path) -> None:
    done = anchorrec("explain", run, "--shapley", "--segment", "activity", "--metric", "NDCG@5")
    assert (done.code, done.err) == (0, "")
    assert "what each view adds to NDCG@5 on validation" in done.out
    assert "all views" in done.out
    report = anchorrec("explain", run, "--shapley", "--split", "test", "-u", "u3", "--json").json()
    rows = report["shapley"]
    assert {(row["split"], row["metric"], row["users"]) for row in rows} == {("test", "Recall@20", 1)}
    total = rows.pop()
    assert total["view"] == "all views"
    assert sum(row["value"] for row in rows) == pytest.approx(total["value"])


def test_shapley_of_one_user_names_it(anchorrec: Command, run: Path) -> None:
    assert "user u3" in anchorrec("explain", run, "--shapley", "--split", "test", "-u", "u3").out


def test_models_without_purchases_say_why(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    settings = load_config(config, ["model={name: mgcn, embedding_dim: 8}", "train.epochs=1"])
    run = fit(settings, settings.dataset.load(), tmp_path / "mgcn").folder
    done = anchorrec("explain", run, "-u", "u3")
    assert "purchases are left out; mgcn: a user is no sum over its purchases: " in done.out
    assert "which of the user's items" not in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name a --user, or give --shapley for all users together"),
        (["-u", "u1", "-i", "i1", "--shapley"], 2, "--shapley measures whole lists, so it takes no --item"),
        (["-u", "u1", "--out", "a.csv"], 2, "--out a.csv: the file must end in .json"),
        (["-u", "nobody"], 3, "unknown user 'nobody'; ids look like 'u0'"),
        (["-u", "u1", "-i", "x"], 3, "unknown item 'x'; ids look like 'i0'"),
        (["--shapley", "--metric", "Recal@5"], 2, "unknown metric 'Recal'; did you mean 'Recall'?"),
        (["--shapley", "-u", "nobody"], 3, "unknown user 'nobody'; ids look like 'u0'"),
        (["-u", "u1", "--seed", "7"], 4, "{run}: has no seed 7; it has 0"),
    ],
)
def test_errors(anchorrec: Command, run: Path, arguments: list[str], code: int, message: str) -> None:
    assert anchorrec("explain", run, *arguments).error(code) == message.format(run=run)


def explanation(score: float = 2.0, known: bool = False, without: int | None = 37) -> Explanation:
    share = 0.75 if score > 0 else None
    return Explanation(
        user_id="u", item_id="i", title="[rec] Film\x1b[31m", score=score, rank=3, candidates=9, known=known,
        views=[ViewPart("text", 1.5, share, without), ViewPart("id", 0.5, share, 3)], pairs=[],
        own=Own(0.5, share, {"id": 0.5}), purchases=[
            Purchase("j", "Jaws", 1.25, share, 5, {"text": 1.25}),
            Purchase("z", "Zulu", 0.25, share, 5, {"text": 0.25}),
        ],
        no_purchases=None, similar={"text": [Similar("j", "Jaws", 0.25)], "image": []},
    )  # fmt: skip


def shown(found: Explanation, capsys: pytest.CaptureFixture[str]) -> str:
    print_explanation(found, 5)
    return capsys.readouterr().out


def test_the_summary_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    first, rest = shown(explanation(), capsys).split("\n", 1)
    assert first == (
        "[rec] Film [31m (i) for user u: score 2.0000, rank 3 of 9; most of it comes from text (75 %); "
        "without text it would be rank 37; without the user's Jaws it would be rank 5"
    )
    assert "75 %" in rest
    assert "text of the items" in rest
    assert "other items together" not in rest


def test_what_changes_no_rank_is_not_in_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    first = shown(explanation(known=True, without=None), capsys).split("\n")[0]
    assert "rank 3 of 9, already the user's; most of it comes from text (75 %); without the user's" in first


def test_a_score_that_is_not_positive_has_no_shares(capsys: pytest.CaptureFixture[str]) -> None:
    assert "%" not in shown(explanation(score=-1.0), capsys)
