"""Claims: what is no claim, what a hash covers, verdicts by hand, what was written before the run, and the command."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import ROOT, composed
from invoke import QUIET, harness, records
from PIL import Image
from scipy import stats
from studies import keep, levels_in, made_test_set, record, shown

from harness import claims
from harness.analysis.attribution import attribute
from harness.analysis.records import join
from harness.analysis.scores import Scores, collect_scores
from harness.analysis.ties import groups
from harness.analysis.verdicts import (
    ClaimVerdict,
    Difference,
    Preregistration,
    claim_word,
    estimate_difference,
    judge,
)
from harness.claims import Claim, check_claims, hashes, read_claim
from harness.commands.claims import is_complete
from harness.commands.cli import main
from harness.errors import BadInput
from harness.report.claims import as_json, as_markdown, line, write_claim
from harness.run.execute import make_job, settle
from harness.storage.store import Store
from harness.streams import stream

TEST = made_test_set(200, 4)
CONTENT: dict[str, Any] = {
    "sentence": "The data wins.", "study": "study", "left": "best data", "right": "best model",
    "relation": "at least", "points": 2,
}  # fmt: skip
ARMS = {"model=a": ("model", 0.82), "model=b": ("model", 0.80), "clean=c": ("data", 0.95), "weak=d": ("data", 0.90)}


def claim(**changes: Any) -> Claim:
    return Claim(**{"name": "wins", **CONTENT, "points": 2.0, **changes})


def written(folder: Path, name: str = "wins", **changes: Any) -> Path:
    """A claim's file; a key that is changed to None is left out."""
    content = {key: value for key, value in (CONTENT | changes).items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder / f"{name}.yaml"


def study(
    folder: Path, held: Callable[[str, int], dict[str, str]] = lambda arm, seed: {}, seeds: int = 5, **failed: Any
) -> Store:
    """A study of two models and two data arms; `held` are the claims that a record vouches for."""
    store = Store(folder)
    arms = {"baseline": ("none", 0.80), **ARMS}
    made = [
        record(
            store, arm, seed, None if failed.get("arm") == arm and seed == 0 else shown(TEST, right, arm, str(seed)),
            TEST, axis=axis, factors=() if arm == "baseline" else (arm.split("=")[0],),
            provenance={"claims": held(arm, seed)},
        )
        for arm, (axis, right) in arms.items() for seed in range(seeds)
    ]  # fmt: skip
    keep(store, made)
    return store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's working directory, with claims of his own and no others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(claims, "folders", lambda: [tmp_path / "experiments" / "claims"])
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"points": -1}, "points is -1: it must be 0 or more; swap left and right"),
        ({"points": "five"}, "points is 'five': it must be a number"),
        ({"points": True}, "points is True: it must be a number"),
        ({"points": math.nan}, "points is nan: it must be a number"),
        ({"points": math.inf}, "points is inf: it must be a number"),
        ({"points": 0, "relation": "equal within"}, "points is 0: no data can show"),
        ({"relation": "at last"}, "relation is 'at last'; did you mean 'at least'? (choose from: at least, at most, equal within)"),
        ({"relation": 3}, "relation is 3: it must be text"),
        ({"left": "best datum"}, "left is 'best datum'; did you mean 'best data'?"),
        ({"left": "best model"}, "left and right are both 'best model'"),
        ({"sentence": None}, "it lacks 'sentence'"),
        ({"sentence": "  "}, "sentence is '  ': it must be text"),
        ({"margin": 3}, "unknown key 'margin'"),
        ({"point": 3}, "unknown key 'point'; did you mean 'points'?"),
    ],
)  # fmt: skip
def test_what_is_no_claim_is_told(changes, line, tmp_path):
    with pytest.raises(BadInput) as told:
        read_claim(written(tmp_path, **changes))
    assert str(told.value).startswith(f"claim 'wins': {line}")
    assert "\n" not in str(told.value)


def test_all_faults_come_at_once(tmp_path):
    with pytest.raises(BadInput) as told:
        read_claim(written(tmp_path, points=-1, relation="about", left=None))
    assert len(str(told.value).splitlines()) == 3


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "", "sentence: a\nsentence: b"])
def test_a_file_that_is_no_mapping_is_told(text, tmp_path):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(BadInput, match="claim 'odd': "):
        read_claim(tmp_path / "odd.yaml")


def test_the_hash_is_of_what_is_claimed_and_of_nothing_else(tmp_path):
    plain = read_claim(written(tmp_path))
    (tmp_path / "other.yaml").write_text(
        "# a remark\npoints: 2.0\nrelation: at least\nright: best model\nleft: best data\nstudy: study\n"
        "sentence: >\n  The data\n  wins.\n"
    )
    assert read_claim(tmp_path / "other.yaml").digest == plain.digest
    others = {"sentence": "It wins.", "study": "s", "left": "a=b", "right": "c=d", "relation": "at most", "points": 2.5}
    changed = [read_claim(written(tmp_path, **{name: value})).digest for name, value in others.items()]
    assert len({plain.digest, *changed}) == 7
    assert set(others) == set(claims.KEYS)


def found(low: float, high: float, inner: float = 0.0) -> Difference:
    """An interval; the one at 90 % is shorter by `inner` on each side."""
    return Difference("l", "r", (low + high) / 2, low, high, low + inner, high - inner, 5, 100)


@pytest.mark.parametrize(
    ("relation", "interval", "word"),
    [
        ("at least", (2.0, 9.0), "supported"),
        ("at least", (1.9, 9.0), "undecided"),
        ("at least", (1.9, 9.0, 0.2), "undecided"),
        ("at least", (-3.0, 1.9), "refuted"),
        ("at least", (-3.0, 2.0), "undecided"),
        ("at most", (-9.0, 2.0), "supported"),
        ("at most", (1.0, 3.0), "undecided"),
        ("at most", (2.1, 3.0), "refuted"),
        ("equal within", (-2.0, 2.0), "supported"),
        ("equal within", (-2.1, 1.0, 0.2), "supported"),
        ("equal within", (-2.1, 1.0), "undecided"),
        ("equal within", (-9.0, 9.0, 2.0), "undecided"),
        ("equal within", (2.1, 3.0, 0.2), "refuted"),
        ("equal within", (1.9, 3.0, 0.2), "undecided"),
        ("equal within", (-5.0, -2.1), "refuted"),
    ],
)
def test_verdicts_by_hand(relation, interval, word):
    assert claim_word(claim(relation=relation), found(*interval)) == word


def scores(test: Any, spread: Any = 0.0, valid: Any = None) -> Scores:
    """Scores of the baseline and as many arms as there are further rows."""
    rows = np.asarray(test, dtype=np.float64)
    arms = ("baseline", *ARMS)[: len(rows)]
    return Scores(
        arms=arms, levels=tuple(map(levels_in, arms)), reference=("",) * len(arms), seeds=tuple(range(rows.shape[1])),
        test=rows, valid=rows if valid is None else np.asarray(valid, dtype=np.float64),
        cpu_s=np.ones(len(arms)), labels=np.zeros(len(arms)), spread=np.zeros((len(arms),) * 2) + spread, n_test=101,
    )  # fmt: skip


def test_two_arms_as_scipy_compares_pairs():
    one, other = [80.0, 84.0, 79.0, 82.0], [78.5, 80.0, 78.0, 77.0]
    made = estimate_difference(scores([[70.0] * 4, one, other]), "model=a", "model=b")
    paired = stats.ttest_rel(one, other)
    assert made.value == pytest.approx(2.875)
    assert (made.low, made.high) == pytest.approx(tuple(paired.confidence_interval(0.95)))
    assert (made.low_90, made.high_90) == pytest.approx(tuple(paired.confidence_interval(0.90)))
    assert (made.left, made.right, made.n_seeds, made.n_test) == ("model=a", "model=b", 4, 101)


def test_shared_test_examples_widen_by_their_own_quantile():
    spread = np.diag([0.0, 3.0, 1.0])
    spread[1, 2] = spread[2, 1] = 0.5  # the difference has 3 + 1 - 2 x 0.5 = 3
    made = estimate_difference(scores([[70.0] * 3, [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], spread), "model=a", "model=b")
    seeds = stats.t.ppf(0.975, 2) ** 2 * 1.0 / 3
    examples = stats.t.ppf(0.975, 100) ** 2 * 3.0
    assert made.high - made.value == pytest.approx(math.sqrt(seeds + examples))


def test_best_arms_have_the_interval_of_the_attribution(rng):
    rows = np.array([80.0, 82.0, 83.0, 88.0, 86.0])[:, None] + rng.normal(size=(5, 5))
    valid = rows + rng.normal(size=(5, 5))
    made = scores(rows, valid=valid)
    ladder = attribute(made, draws=200, rng=stream(0, "attribution")).ladder
    assert ladder is not None
    told = estimate_difference(made, "best data", "best model")
    assert (told.value, told.low, told.high) == pytest.approx(
        (ladder.difference.value, ladder.difference.low, ladder.difference.high)
    )
    assert told.low < told.low_90 < told.value < told.high_90 < told.high
    assert told.left == f"best data ({ladder.data.arm})"
    gain = estimate_difference(made, "best model", "baseline")
    assert (gain.value, gain.low) == pytest.approx((ladder.model.effect.value, ladder.model.effect.low))
    turned = estimate_difference(made, "best model", "best data")
    assert (turned.value, turned.low, turned.high) == pytest.approx((-told.value, -told.high, -told.low))


def test_the_best_is_chosen_on_validation():
    test = [[80.0, 80.1], [90.0, 90.1], [70.0, 70.1]]
    made = scores(test, valid=[[80.0, 80.0], [81.0, 81.0], [99.0, 99.0]])
    assert estimate_difference(made, "best model", "baseline").left == "best model (model=b)"
    assert estimate_difference(made, "best model", "baseline").value == pytest.approx(-10)


@pytest.mark.parametrize(
    ("made", "sides", "reason"),
    [
        (scores([[1.0], [2.0]]), ("model=a", "baseline"), "one seed does not show"),
        (scores([[1.0, 2.0], [2.0, 3.0]]), ("best data", "baseline"), "no arm changes the data alone"),
        (scores([[1.0, 2.0], [2.0, 3.0]], valid=[[np.nan] * 2] * 2), ("best model", "baseline"), "no validation part"),
        (scores(np.arange(10.0).reshape(5, 2)), ("best both", "baseline"), "were not run together"),
    ],
)
def test_what_has_no_number_is_told(made, sides, reason):
    with pytest.raises(BadInput, match=reason):
        estimate_difference(made, *sides)


def test_written_before_the_run(tmp_path):
    mine = claim()
    verdict = judge(mine, study(tmp_path / "study", lambda arm, seed: {"wins": mine.digest}))
    assert verdict.word == "supported"
    assert verdict.found is not None
    assert verdict.found.left == "best data (clean=c)"
    assert verdict.found.low > 2
    assert verdict.written == Preregistration(carry=25, other=0, of=25, about=1)
    assert str(verdict.written) == "written before the run: all 25 trials that it rests on carry its hash"


def test_written_after_some_trials(tmp_path):
    mine = claim(right="baseline", left="clean=c")
    store = study(tmp_path / "study", lambda arm, seed: {"wins": mine.digest} if arm == "clean=c" or seed > 2 else {})
    assert str(judge(mine, store).written) == "written after 3 of 10 trials had run: exploratory"


def test_a_claim_that_is_changed_is_a_new_one(tmp_path):
    mine = claim()
    store = study(tmp_path / "study", lambda arm, seed: {"wins": mine.digest, "other": "0" * 64})
    assert ", one of 2 claims about the study:" in str(judge(mine, store).written)
    for changed in (replace(mine, points=1.0), replace(mine, sentence="The data wins!")):
        assert str(judge(changed, store).written) == "changed after 25 of 25 trials had run: exploratory"
    assert judge(replace(mine, name="renamed"), store).written.before


def test_a_failed_trial_leaves_a_reason_and_no_number(tmp_path):
    verdict = judge(claim(), study(tmp_path / "study", arm="model=b"))
    assert (verdict.word, verdict.found) == ("undecided", None)
    assert verdict.reason == "1 of 5 trials of model=b failed (the loss is not finite at step 3)"
    assert judge(claim(right="model=a", left="clean=c"), Store(tmp_path / "study")).word == "supported"
    assert json.loads(as_json(verdict))["difference"] is None


def test_a_trial_that_was_not_run_leaves_a_reason(tmp_path):
    store = study(tmp_path / "study")
    (store.folder / "trials" / f"{join(store).arms['clean=c'][0]['key']}.json").unlink()
    assert judge(claim(), store).reason == "1 of 5 trials of clean=c were not run"
    assert judge(claim(), Store(tmp_path / "empty")).reason == "the study 'study' has not run"


def test_one_seed_and_arms_that_are_not_there(tmp_path):
    assert "one seed does not show" in judge(claim(), study(tmp_path / "study", seeds=1)).reason
    with pytest.raises(BadInput, match="has no arm 'clean=d'; did you mean 'clean=c'"):
        judge(claim(left="clean=d"), Store(tmp_path / "study"))


def test_arms_are_compared_on_the_seeds_that_they_share(tmp_path):
    """A study may stop adding seeds to an arm: its plan then holds fewer trials of it."""
    store = study(tmp_path / "study")
    mine = claim(left="clean=c", right="model=a")
    whole = judge(mine, store).found
    plan = store.plan()
    assert whole is not None
    assert plan is not None
    store.keep_plan({**plan, "trials": [row for row in plan["trials"] if row["arm"] != "clean=c" or row["seed"] < 3]})
    part = judge(mine, store)
    assert part.found is not None
    assert (whole.n_seeds, part.found.n_seeds, part.written.of) == (5, 3, 13)
    done = [one for one in join(store).records if one["seed"] < 3]
    means = {arm: sum(one["result"]["test"] for one in done if one["arm"] == arm) / 3 for arm in ("clean=c", "model=a")}
    assert part.found.value == pytest.approx(100 * (means["clean=c"] - means["model=a"]))


def test_what_is_missing_of_a_study(tmp_path):
    store, file = study(tmp_path / "study", seeds=2), tmp_path / "study.yaml"
    said: dict[str, Any] = {"seeds": [0, 1], "arms": ["model=a", ["clean=c"]], "cross": [["model=b"], ["weak=d"]]}

    def complete(**changes: Any) -> bool:
        file.write_text(yaml.safe_dump(said | changes))
        return is_complete(store, file)

    assert complete()
    assert complete(seeds=2)
    assert is_complete(store, None)
    assert not complete(seeds=3)
    assert not complete(arms=["model=a", "model=z"])
    assert not complete(cross=[["clean=z"]])
    assert not is_complete(Store(tmp_path / "empty"), file)
    next((store.folder / "trials").iterdir()).unlink()
    assert not complete()


def test_hashes_pass_over_what_is_no_claim_and_a_study_does_not(here):
    folder = here / "experiments" / "claims"
    mine, other = read_claim(written(folder)), read_claim(written(folder, "other", study="elsewhere"))
    assert hashes("study") == check_claims("study") == {"wins": mine.digest}
    written(folder, "faulty", points=-1)
    assert hashes("study") == {"wins": mine.digest}
    with pytest.raises(BadInput, match="claim 'faulty': points is -1"):
        check_claims("study")
    assert check_claims("elsewhere") == {"other": other.digest}
    (folder / "torn.yaml").write_text("sentence: [")
    with pytest.raises(BadInput, match="claim 'torn'"):
        check_claims("elsewhere")


def test_a_record_carries_the_claims_that_were_there_first(here, monkeypatch):
    from harness.run import execute

    mine = read_claim(written(here / "experiments" / "claims", study="single"))
    execute._claims.cache_clear()
    outcome = execute._outcome

    def amended(job: Any, log: Any) -> Any:
        written(here / "experiments" / "claims", "late", study="single")
        return outcome(job, log)

    monkeypatch.setattr(execute, "_outcome", amended)
    words = ["model@baseline.model=logistic_regression", "task.n_train=60", "track=none", "cache=cache"]
    trial, _ = settle(make_job(composed(*words), []))
    execute._claims.cache_clear()
    assert trial["provenance"]["claims"] == {"wins": mine.digest}


@pytest.fixture
def say(here, capfd) -> Callable[..., tuple[int, str, str]]:
    """Runs `harness claims` in the user's working directory."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        return (main(["claims", *words]), *capfd.readouterr())

    return run


def test_the_command_judges_what_is_there(here, say):
    written(here / "experiments" / "claims")
    study(here / "results" / "study")
    code, out, _ = say("wins", "--run", "no")
    assert code == 0
    assert out.startswith("wins: supported: best data (clean=c) less best model (model=a) is +")
    assert out.endswith("claimed at least 2; written after 25 of 25 trials had run: exploratory\n")
    folder = here / "results" / "study" / "claims"
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(kept) == [f"wins.{kind}" for kind in ("json", "md", "pdf", "png", "svg")]
    told = json.loads(kept["wins.json"])
    assert (told["verdict"], told["claim"]) == ("supported", CONTENT)
    assert f"{told['difference']['value']:+.2f}" in out
    assert say("wins") == (0, out, ""), "nothing is missing, so nothing is run"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    (folder.parent / "index.html").write_text("a page without this verdict")
    assert say("wins")[2] == "", "the verdict is the one that the page had the chance to show"
    (folder / "wins.json").unlink()
    page = Path("results") / "study" / "index.html"
    assert say("wins")[2] == f"{page} lacks this verdict: harness report study puts it there\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["wims"], "unknown claim 'wims'; did you mean 'wins'? (choose from: elsewhere, wins)"),
        (["wins", "run=maybe"], "run is 'maybe' (choose from: no, yes)"),
        (["wins", "stroe=x"], "claims has no option 'stroe'; did you mean 'store'?"),
        (["elsewhere", "run=no"], "claim 'elsewhere': unknown study 'stuby'; did you mean 'study'?"),
    ],
)
def test_wrong_words_are_told_in_one_line(words, line, here, say):
    written(here / "experiments" / "claims")
    written(here / "experiments" / "claims", "elsewhere", study="stuby")
    study(here / "results" / "study", seeds=2)
    code, out, err = say(*words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"harness: {line}")


def test_overrides_are_for_one_study(here, say):
    for name in ("one", "two"):
        written(here / "experiments" / "claims", name, study=name)
        study(here / "results" / name, seeds=2)
    assert say("task.path=x", "run=no")[2].startswith(
        "harness: task.path=x is for one study, and these claims are about 2"
    )
    assert say("one", "task.path=x")[0] == 0


def test_no_claims_at_all(here, say):
    assert say()[2].startswith("harness: there are no claims: write one to ")


def test_hostile_words_stay_words(tmp_path):
    hostile = "<script>alert(1)</script> | $x$ \\input{a} `b` \n# c"
    verdict = ClaimVerdict(claim(sentence=hostile), "undecided", hostile, None, Preregistration(0, 0, 0, 0))
    text = as_markdown(verdict).decode()
    assert "<script" not in text.replace("\\<script", "")
    assert text.count("\n# ") == 0
    assert len(line(verdict).splitlines()) == 1
    assert len(write_claim(verdict, tmp_path)) == 5


@pytest.mark.parametrize("relation", claims.RELATIONS)
def test_the_figure_is_one_column_wide_and_the_same_each_time(relation, tmp_path):
    made = Difference("best data (clean=c)", "baseline", 3.0, -1.0, 7.0, 0.0, 6.0, 5, 200)
    verdict = ClaimVerdict(claim(relation=relation), "undecided", "", made, Preregistration(0, 0, 10, 0))
    first = {path.name: path.read_bytes() for path in write_claim(verdict, tmp_path / "a")}
    assert {path.name: path.read_bytes() for path in write_claim(verdict, tmp_path / "b")} == first
    with Image.open(tmp_path / "a" / "wins.png") as image:
        assert image.width == pytest.approx(3.4 * 300, abs=1)
        assert 250 < image.height < 600


def test_claims_of_this_project_are_about_its_studies():
    files = sorted((ROOT / "experiments" / "claims").glob("*.yaml"))
    assert len(files) >= 4
    for path in files:
        found = read_claim(path)
        study = yaml.safe_load((ROOT / "experiments" / f"{found.study}.yaml").read_text())
        arms = {arm if isinstance(arm, str) else " ".join(arm) for arm in study["arms"]}
        groups = [[arm] if isinstance(arm, str) else arm for group in study.get("cross") or [] for arm in group]
        known = {*claims.PICKS, "baseline", *arms, *(" ".join(arm) for arm in groups)}
        assert {found.left, found.right} <= known, path.name


STUDY = """# @package _global_
defaults:
  - override /task: digits
  - override /model@baseline.model: logistic_regression
  - override /hydra/sweeper: study
study: tiny
seeds: [0, 1]
task: {n_train: 120}
arms: [weak=majority_vote, model=random_forest]
"""


@pytest.mark.slow
def test_a_claim_runs_its_study_and_was_written_before(tmp_path, monkeypatch, capsys):
    claims_of = tmp_path / "experiments" / "claims"
    mine = read_claim(
        written(claims_of, study="tiny", left="weak=majority_vote", right="baseline", relation="at most", points=90)
    )
    (tmp_path / "experiments" / "tiny.yaml").write_text(STUDY)
    said = harness("claims", "wins", *QUIET, folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "harness -m experiments=tiny store=results" in said.stderr
    assert len(said.stdout.splitlines()) == 1
    assert said.stdout.startswith("wins: supported: weak=majority_vote less baseline is ")
    assert said.stdout.endswith("written before the run: all 4 trials that it rests on carry its hash\n")
    trials = records(tmp_path / "results" / "tiny")
    assert [one["provenance"]["claims"] for one in trials.values()] == [{"wins": mine.digest}] * 6
    written(claims_of, study="tiny", left="weak=majority_vote", right="baseline", relation="at most", points=80)
    monkeypatch.chdir(tmp_path)
    assert main(["claims", "wins"]) == 0
    assert capsys.readouterr().out.endswith("changed after 4 of 4 trials had run: exploratory\n")


@pytest.mark.slow
def test_a_study_that_cannot_be_run_is_told(tmp_path):
    said = harness("claims", "youtube_votes", *QUIET, folder=tmp_path)
    assert said.returncode == 2
    assert "task.path is required" in said.stderr
    assert said.stderr.splitlines()[-1].startswith("harness: the study 'youtube' could not be run; run=no judges")


def test_two_arms_that_agree_on_every_row_are_not_shown_to_be_equal(tmp_path):
    """No discordant row among 50 leaves room for some points, so that a claim of 0.1 stays undecided."""
    store, test = Store(tmp_path / "made"), made_test_set(50, 2)
    alike = shown(test, 0.9, "alike")
    arms = ("baseline", "model=a", "model=b")
    made = keep(store, [record(store, arm, seed, alike, test) for arm in arms for seed in range(3)])
    found = estimate_difference(collect_scores(made, store.test_set, made), "model=a", "model=b")
    assert found.value == 0
    assert -found.low == found.high > 3
    assert -found.low_90 == found.high_90 > 2
    names, p_values = found.left, groups(collect_scores(made, store.test_set, made))[0]
    assert (names, p_values.min()) == ("model=a", 1.0)


def test_four_rows_that_all_seeds_gain_are_not_a_difference(tmp_path):
    """Seeds that agree exactly do not make four discordant rows more than four: neither for a claim nor for a letter."""
    store, test = Store(tmp_path / "made"), made_test_set(200, 2)
    fewer = test.y.copy()
    fewer[:4] = 1 - fewer[:4]
    right = {"baseline": test.y, "model=a": fewer}
    made = keep(store, [record(store, arm, seed, right[arm], test) for arm in right for seed in range(5)])
    scores = collect_scores(made, store.test_set, made)
    found = estimate_difference(scores, "baseline", "model=a")
    assert found.value == pytest.approx(2.0)
    assert found.low < 0
    assert groups(scores)[1] == ("a", "a")
