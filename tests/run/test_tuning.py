"""Strategies that are tuned: what is searched, what is chosen, what it costs, and what stands in the record."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import composed, train_set
from omegaconf import OmegaConf
from test_trial import make
from test_trial import run as run_one

from harness.data import EvalSet, Task, TrainSet
from harness.errors import BadInput, TrialFailed
from harness.learners import Fit, Run
from harness.learners.tuned import tuned
from harness.run.config import arm_of
from harness.run.fitting import misfits
from harness.run.options import asks_of, needs_of
from harness.run.tools import Purchases
from harness.run.tuning import Attempt, tune
from harness.strategies import Tools, none
from harness.strategies.tuning import tuned_strategy

TRAIN = train_set(np.zeros((30, 2), np.float32), [0, 1] * 15, 2)
HELD = EvalSet(np.array([f"v{i}" for i in range(20)]), np.arange(20.0), np.zeros(20, dtype=np.int64))
TASK = Task("small", "table", ("a", "b"), TRAIN, HELD, HELD, TRAIN.classes)


def shares(train: TrainSet, tools: Tools, *, share: float, handle: str, strength: float | None) -> TrainSet:
    """A strategy of three parameters, of which `make_way` below reads the values."""
    return train


SPACE = {
    "share": {"low": 0.0, "high": 1.0},
    "handle": {"choices": ["drop", "soften"]},
    "strength": {"low": 0.1, "high": 0.9, "when": {"handle": ["soften"]}},
}
SHARES = partial(shares, share=0.9, handle="drop", strength=None)
ARM: dict[str, Any] = {
    "model": None, "weak": none, "augment": none, "clean": partial(tuned_strategy, strategy=SHARES, over=SPACE),
}  # fmt: skip


def way(arm: Any, run: Run, *, seen: list[Any]) -> Attempt:
    """An attempt of no training: the nearer `share` is to 0.3, the more validation rows are right; 0.95 fails."""
    given = arm["clean"].keywords
    seen.append((given["share"], given["handle"], given["strength"], run.protocol.lr))
    if given["share"] > 0.95:
        raise TrialFailed("diverged")
    if given["share"] < 0.02:
        raise BadInput("share is too small for 30 rows")
    right = np.arange(20) < 20 * (1 - abs(given["share"] - 0.3))
    fit = Fit(lambda x: np.eye(2)[np.where(right, 0, 1)[: len(x)]], 1, 100, history=[{"step": 1.0}])
    bought = Purchases(TASK, {f"r{len(seen)}"}, 0, {"rules": 3})
    return Attempt(fit, HELD, HELD, {"weak": {}, "clean": {"n_dropped": len(seen)}, "augment": {}}, bought)


def with_trials(run: Run, trials: int) -> Run:
    return replace(run, classes=("a", "b"), protocol=replace(run.protocol, tuning_trials=trials))


def test_the_best_configuration_on_the_validation_rows_is_kept_and_all_are_paid_for(run: Run) -> None:
    seen: list[Any] = []
    rows: list[Any] = []
    best = tune(ARM, replace(with_trials(run, 25), log=rows.append), partial(way, seen=seen))
    tried = [row for row in best.fit.history if "trial" in row]
    assert len(seen) == len(tried) == 25
    assert seen[0] == (0.9, "drop", None, 0.01), "the first has the parameters as they are"
    assert all((strength is None) == (handle == "drop") for _, handle, strength, _ in seen), "no strength for drop"
    assert [row["clean.share"] for row in tried] == [share for share, *_ in seen]
    done = [row for row in tried if "valid" in row]
    top = max(done, key=lambda row: row["valid"])
    chosen = seen[tried.index(top)]
    assert abs(chosen[0] - 0.3) < 0.1
    assert best.receipts["clean"]["tuned"] == {"handle": chosen[1], "share": chosen[0], "strength": chosen[2]}
    assert best.receipts["clean"]["n_dropped"] == tried.index(top) + 1, "the receipt is the best attempt's own"
    assert best.receipts["weak"] == {}
    assert f"clean.share={chosen[0]:.4g}" in best.facts["tuned"]
    assert "(best of 25 configurations on 20 validation rows)" in best.facts["tuned"]
    assert best.fit.examples == 100 * len(done)
    assert best.fit.valid_labels == 20
    assert best.fit.history[-1] == {"step": 1.0}
    assert rows == best.fit.history


def test_labels_that_any_attempt_bought_are_counted_and_work_before_the_trial_once(run: Run) -> None:
    seen: list[Any] = []
    best = tune(ARM, with_trials(run, 6), partial(way, seen=seen))
    done = [number for number, (share, *_) in enumerate(seen, 1) if 0.02 <= share <= 0.95]
    assert best.bought.sold == {f"r{number}" for number in done}
    assert best.bought.counted == {"rules": 3}


def test_an_arm_with_nothing_to_tune_takes_its_way_once(run: Run) -> None:
    seen: list[Any] = []
    tune({**ARM, "clean": SHARES, "model": partial(tuned, learner=None, over={})}, run, partial(way, seen=seen))
    assert len(seen) == 1, "a tuned model by itself does its own search"


def test_a_configuration_that_fails_is_passed_over_but_the_users_own_fault_is_told(run: Run) -> None:
    wide = {"share": {"low": 0.0, "high": 0.02}}
    seen: list[Any] = []
    best = tune({**ARM, "clean": partial(tuned_strategy, strategy=SHARES, over=wide)}, with_trials(run, 4),
                partial(way, seen=seen))  # fmt: skip
    assert [row.get("failed") for row in best.fit.history[:4]] == [None, 1.0, 1.0, 1.0]
    own = partial(tuned_strategy, strategy=partial(SHARES, share=0.01), over=SPACE)
    with pytest.raises(BadInput, match="share is too small for 30 rows"):
        tune({**ARM, "clean": own}, with_trials(run, 4), partial(way, seen=[]))
    high = {"share": {"low": 0.96, "high": 1.0}}
    lost = partial(tuned_strategy, strategy=partial(SHARES, share=0.99), over=high)
    with pytest.raises(TrialFailed, match="all 3 configurations that were tried failed"):
        tune({**ARM, "clean": lost}, with_trials(run, 3), partial(way, seen=[]))


def test_a_tuned_model_is_searched_together_with_the_strategies(run: Run) -> None:
    def learner(train: TrainSet, valid: EvalSet, run: Run, *, width: int) -> Fit:
        raise AssertionError("the way above trains nothing")

    model = partial(
        tuned, learner=partial(learner, width=8),
        over={"protocol.lr": {"low": 0.1, "high": 0.2}, "width": {"low": 1, "high": 9}},
    )  # fmt: skip
    seen: list[Any] = []
    best = tune({**ARM, "model": model}, with_trials(run, 5), partial(way, seen=seen))
    assert len(seen) == 5, "as many configurations as where the model alone is tuned"
    assert seen[0][3] == 0.01
    assert all(0.1 <= lr <= 0.2 for *_, lr in seen[1:])
    assert {"model.protocol.lr", "model.width", "clean.share"} <= set(best.fit.history[1])


QUICK = ("clean=tuned", "clean@clean.of=self_confidence", "protocol.tuning_trials=4", "protocol.folds=2")


def test_the_record_is_that_of_the_strategy_with_the_chosen_values(tmp_path: Path) -> None:
    trial, task = make(*QUICK)
    found = run_one(trial, task, tmp_path)
    chosen = found["receipts"]["clean"].pop("tuned")
    assert set(chosen) == {"share", "handle", "strength"}
    words = [f"clean.{name}={'null' if value is None else value}" for name, value in chosen.items()]
    plain_trial, _ = make("clean=self_confidence", "protocol.folds=2", *words)
    alone = run_one(plain_trial, task, tmp_path)
    assert found["result"] == alone["result"]
    assert found["receipts"] == alone["receipts"]
    assert found["history"][4:] == alone["history"]
    best = max(found["history"][:4], key=lambda row: row.get("valid", -1))
    assert best["valid"] == found["result"]["valid"]
    assert found["ledger"] == {**alone["ledger"], "valid": len(task.valid)}
    assert found["cost"]["examples"] == 4 * alone["cost"]["examples"]
    assert "clean.share=" in found["facts"]["tuned"]


def test_weak_clean_and_augment_are_tuned_together(tmp_path: Path) -> None:
    trial, task = make(*QUICK, "weak=tuned", "weak@weak.of=majority_vote", "augment=tuned", "augment@augment.of=shift")
    found = run_one(trial, task, tmp_path)
    assert {kind: set(told.get("tuned", {})) for kind, told in found["receipts"].items()} == {
        "weak": {"labels"}, "clean": {"share", "handle", "strength"}, "augment": {"padding"},
    }  # fmt: skip
    assert [row.get("trial") for row in found["history"][:5]] == [0, 1, 2, 3, None]


def test_the_space_is_in_the_key_of_the_search_alone() -> None:
    def key(*words: str) -> str:
        return make(*words)[0].key

    assert "space" not in str(make("clean=confident")[0].identity())
    wider = "clean.over={share:{low:0.1,high:0.5}}"
    assert len({key(*QUICK), key(*QUICK, wider), key(*QUICK, "protocol.tuning_trials=9")}) == 3
    assert key("clean=confident") == key("clean=confident", "clean.space.share.high=0.5", "protocol.tuning_trials=9")


def test_what_the_tuned_option_declares_holds_for_the_search() -> None:
    node = arm_of(composed("clean=tuned"))["clean"]
    assert needs_of(node) == {"tuning", "probe"}
    assert asks_of(node) == ["soft_labels", "weights"], "handle may be drawn as soften or reweight"
    assert asks_of(arm_of(composed("clean=tuned", "clean.over={share:{low:0.1,high:0.5}}"))["clean"]) == []
    assert arm_of(composed("clean=tuned", "clean@clean.of=random"))["clean"]["reference_kind"] == "negative_control"
    assert arm_of(composed("augment=tuned", "augment@augment.of=smote"))["augment"]["gives"] == ["rows"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["clean@clean.of=oracle"], "clean (tuned_strategy) with oracle: there is nothing to search: the strategy"),
        (["clean.over={shar:{low:0.1,high:1}}"], "clean (tuned_strategy) with suspects: 'shar' cannot be set"),
        (["clean.over={share:{low:2,high:1}}"], "clean (tuned_strategy) with suspects: share is searched in"),
        (
            ["clean.over={strength:{low:0.1,high:1,when:{handle:[soften]}}}"],
            "clean (tuned_strategy) with suspects: strength is searched when handle is ['soften']: name a parameter",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_runs(words: list[str], line: str) -> None:
    _, task = make("clean=none")
    (told,) = misfits({"clean": arm_of(composed("clean=tuned", *words))["clean"]}, task)
    assert told.startswith(line)
    bare = replace(task, valid=replace(task.valid, ids=task.valid.ids[:0], x=task.valid.x[:0], y=task.valid.y[:0]))
    lines = misfits({"clean": arm_of(composed("clean=tuned"))["clean"]}, bare)
    assert lines == ["clean (tuned_strategy) needs validation rows, which task digits does not have"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["weak=cut_statistic", "weak@weak.first=tuned"], "weak (cut_statistic) has a tuned option within it"),
        (["weak=tuned", "weak@weak.of=tuned"], "weak (tuned_strategy) has a tuned option within it"),
        (["clean=random_drop", "clean@clean.like=tuned"], "clean (random_drop) has a tuned option within it"),
        (["model=ensemble", "+model@model.of=tuned"], "model (ensemble) has a tuned option within it"),
        (["model=tuned", "+model@model.of=tuned"], "model (tuned) has a tuned option within it"),
        (["model=early_stopping", "+model@model.of=tuned"], "model (early_stopping) has a tuned option within it"),
    ],
)
def test_an_option_that_is_tuned_within_another_is_refused(words: list[str], named: str) -> None:
    """It would keep the parameters that it has, or be searched more often than another arm's."""
    _, task = make("clean=none")
    lines = [
        line for line in misfits(arm_of(composed("model@baseline.model=mlp", *words)), task) if "within it" in line
    ]
    assert [line for line in lines if line.startswith(named)]
    assert all("put the search outside" in line and "=tuned " in line for line in lines)


def test_a_probe_that_is_tuned_is_refused_where_it_is_used() -> None:
    _, task = make("clean=none")
    cfg = composed("model@baseline.model=mlp", "clean=confident", "+model@probe.of=mlp", "model@probe=tuned")
    probe = OmegaConf.to_container(cfg.probe, resolve=True)
    assert [line for line in misfits(arm_of(cfg), task, probe) if "the probe is a tuned model" in line]
    assert not misfits(arm_of(composed("model@baseline.model=mlp", "model=tuned")), task, probe)


def test_what_is_tuned_outside_is_searched() -> None:
    _, task = make("clean=none")
    over = "model.over={protocol.lr:{low:0.001,high:0.01,log:true}}"
    cfg = composed("model@baseline.model=mlp", "model=tuned", "+model@model.of=ensemble", over)
    assert misfits(arm_of(cfg), task) == []
    assert misfits(arm_of(composed("weak=tuned", "weak@weak.of=cut_statistic")), task) == []
