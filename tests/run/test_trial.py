"""One trial: its key, its record, its purity."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, composed

from harness.data import EvalSet, Task, TrainSet
from harness.errors import TrialFailed
from harness.learners import Fit, Run
from harness.run.config import arm_of, plain
from harness.run.options import build
from harness.run.trial import Place, Trial, run_trial
from harness.storage.cache import Cache
from harness.storage.packing import unpack
from harness.strategies import Tools

SMALL = ("task.n_train=120", "protocol.steps=20", "model@baseline.model=mlp", "seed=3")


def make(*overrides: str) -> tuple[Trial, Task]:
    cfg = composed(*SMALL, *overrides)
    source = build(plain(cfg.task))
    trial = Trial(
        task=plain(cfg.task), arm=arm_of(cfg), probe=plain(cfg.get("probe") or cfg.baseline.model),
        protocol=plain(cfg.protocol), data=source.fingerprint, seed=cfg.seed, salt=str(cfg.salt),
    )  # fmt: skip
    return trial, source.split(trial.seed)


def run(trial: Trial, task: Task, folder: Path) -> dict:
    return run_trial(trial, task, Place(Cache(folder), "cpu"))


def shifted(train: TrainSet, tools: Tools) -> TrainSet:
    """A strategy that changes features, and notes which rows its transform meets."""
    return train.transformed(lambda x: (SEEN.append(f"{len(x)} rows"), x)[1])


def noted(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """A learner that notes when it fits, and predicts the first class."""
    SEEN.append("fit")
    return Fit(lambda x: np.eye(10, dtype=np.float32)[np.zeros(len(x), dtype=int)], 0, 0)


SEEN: list[str] = []


def test_a_strategys_transform_meets_the_test_part_when_all_is_fitted(tmp_path: Path) -> None:
    """So nothing of the strategy (labels, batches) can depend on a test row."""
    trial, task = make()
    mine = {name: {"_target_": f"test_trial.{name}", "_partial_": True} for name in ("shifted", "noted")}
    trial = replace(trial, arm={**trial.arm, "clean": mine["shifted"], "model": mine["noted"]})
    SEEN.clear()
    run(trial, task, tmp_path)
    assert [f"{len(rows)} rows" for rows in (task.train, task.valid)] == SEEN[:2]
    assert SEEN[2:] == ["fit", f"{len(task.test)} rows"]


def timeless(record: dict) -> str:
    """A record without what time and memory vary."""
    return json.dumps({name: value for name, value in record.items() if name != "cost"}, sort_keys=True)


def test_golden_keys():
    # These pin the identity of every record there is. If numerics changed on purpose, bump protocol.version too.
    keys = {arm: make(*arm.split())[0].key for arm in GOLDEN}
    assert keys == GOLDEN


def test_what_is_semantic_changes_the_key_and_nothing_else_does(tmp_path):
    base = make("clean=confident")[0].key
    semantic = [
        "seed=4",
        "protocol.lr=0.1",
        "task.n_train=121",
        "clean=oracle",
        "model=lenet",
        "salt=x",
        "protocol.version=2",
    ]
    other = [make("clean=confident", change)[0].key for change in semantic]
    assert len({base, *other}) == 1 + len(semantic)
    aside = [
        f"cache={tmp_path}",
        f"store={tmp_path}",
        "device=cpu",
        "threads=2",
        "study=other",
        "track=wandb",
        "retry=true",
    ]
    assert {make("clean=confident", change)[0].key for change in aside} == {base}


def test_the_probe_counts_only_where_it_is_used():
    assert make("augment=shift")[0].key == make("augment=shift", "model@probe=lenet")[0].key
    assert make("clean=confident")[0].key != make("clean=confident", "model@probe=lenet")[0].key


def test_the_same_data_elsewhere_is_the_same_trial(tmp_path):
    table = "a,b,label\n" + "".join(f"{i % 7},{i % 5},{'x' if i % 2 else 'y'}\n" for i in range(80))
    keys = []
    for name in ("here.csv", "there.csv"):
        (tmp_path / name).write_text(table)
        keys.append(make("task=table", f"task.path={tmp_path / name}", "task.label=label", "task.n_train=null")[0].key)
    (tmp_path / "there.csv").write_text(table.replace("6,", "9,"))
    keys.append(
        make("task=table", f"task.path={tmp_path / 'there.csv'}", "task.label=label", "task.n_train=null")[0].key
    )
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    "arm", ["model=mlp", "weak=label_model", "clean=confident", "augment=mixup", "model=random_forest"]
)
def test_the_same_trial_twice_is_equal_bit_for_bit(arm, tmp_path):
    trial, task = make(arm)
    first, second = (timeless(run(trial, task, tmp_path / name)) for name in ("one", "other"))
    assert first == second


def test_a_warm_cache_changes_no_bit_and_charges_what_the_shared_work_cost(tmp_path):
    """A bill of a thousand seconds, put where the shared work keeps its own, shows in full in the trial's cost."""
    trial, task = make("clean=confident")
    cold = run(trial, task, tmp_path)
    (bill,) = tmp_path.rglob("*.json")
    made = json.loads(bill.read_text())
    assert cold["cost"]["cpu_s"] >= made["cpu_s"] - 0.001  # costs are rounded
    bill.write_text(json.dumps({**made, "cpu_s": 1000.0}))
    warm = run(trial, task, tmp_path)
    assert timeless(cold) == timeless(warm)
    assert 1000.0 <= warm["cost"]["cpu_s"] <= 1000.0 + cold["cost"]["cpu_s"] + 60


def test_a_salt_changes_the_learners_luck_and_no_data(tmp_path):
    (plain_trial, task), (salted, _) = make("clean=random_drop"), make("clean=none", "salt=x")
    base = run(replace(plain_trial, arm=salted.arm), task, tmp_path)
    other = run(salted, task, tmp_path)
    assert base["facts"] == other["facts"]
    assert base["history"] != other["history"]


def test_the_record_says_what_was_done(tmp_path):
    trial, task = make("clean=oracle", "clean.k=7", "weak=majority_vote")
    record = run(trial, task, tmp_path)
    predicted = unpack(record["result"]["predictions"])
    assert predicted.shape == (len(task.test),)
    assert record["result"]["test"] == pytest.approx((predicted == task.test.y).mean())
    assert record["ledger"]["oracle"] == 7
    assert record["ledger"]["votes"] == (task.train.votes >= 0).sum()
    assert record["ledger"]["given"] == len(task.train)
    assert record["ledger"]["valid"] == 0
    assert record["receipts"]["clean"]["n_relabelled"] <= 7
    assert record["receipts"]["clean"]["n_dropped"] == 0
    assert record["cost"]["parameters"] > 1000
    assert record["cost"]["examples"] == 20 * 32
    assert record["facts"]["simulated"] is True
    assert [row["step"] for row in record["history"]][-1] == 20


def test_a_record_keeps_what_any_other_metric_needs(tmp_path):
    trial, task = make("model=random_forest")
    found = run(trial, task, tmp_path)["result"]
    for start, part, metric in (("", task.test, found["test"]), ("valid_", task.valid, found["valid"])):
        predicted, chances = (unpack(found[f"{start}{name}"]) for name in ("predictions", "probabilities"))
        assert (predicted == part.y).mean() == pytest.approx(metric)
        assert chances.shape == (len(part), 10)
        assert chances.dtype == np.float16
        assert np.allclose(chances.astype(float).sum(1), 1, atol=2e-3)
        best = chances.max(1)
        assert (chances[np.arange(len(part)), predicted] == best).all()


def test_probabilities_take_no_more_than_the_docs_say(tmp_path):
    trial, task = make("model=mlp")
    found = run(trial, task, tmp_path)["result"]
    told = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    said = re.search(r"at most ([0-9.]+) bytes for each row and class", told)
    assert said
    for name, rows in (("probabilities", task.test), ("valid_probabilities", task.valid)):
        assert 0 < len(found[name]["zlib"]) <= float(said[1]) * len(rows) * 10


def as_scores(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """A learner that returns scores, which rank the classes and are not probabilities."""
    return Fit(lambda x: np.tile(np.linspace(-3, 5, 10, dtype=np.float32), (len(x), 1)), 0, 0)


def as_votes(train: TrainSet, valid: EvalSet, run: Run) -> Fit:
    """A learner that returns the predicted class alone."""
    return Fit(lambda x: np.tile(np.eye(10, dtype=np.float32)[9], (len(x), 1)), 0, 0)


@pytest.mark.parametrize("node", [{"_target_": "as_scores"}, {"_target_": "as_votes", "lacks": ["probabilities"]}])
def test_a_model_without_probabilities_keeps_none_and_says_so(node, tmp_path):
    trial, task = make()
    node |= {"_target_": f"test_trial.{node['_target_']}", "_partial_": True}
    found = run(replace(trial, arm={**trial.arm, "model": node}), task, tmp_path)
    assert found["result"]["probabilities"] is found["result"]["valid_probabilities"] is None
    assert (unpack(found["result"]["predictions"]) == 9).all()
    assert found["facts"]["probabilities"] == "none kept: what the model returns are not probabilities"


def test_a_task_without_validation_rows_keeps_none(tmp_path):
    trial, task = make()
    none = replace(task.valid, ids=task.valid.ids[:0], x=task.valid.x[:0], y=task.valid.y[:0])
    found = run(trial, replace(task, valid=none), tmp_path)["result"]
    assert [found[name] for name in ("valid", "valid_predictions", "valid_probabilities")] == [None] * 3
    assert found["probabilities"] is not None


def test_selection_on_validation_counts_its_labels(tmp_path):
    trial, task = make("protocol.selection=best")
    assert run(trial, task, tmp_path)["ledger"]["valid"] == len(task.valid)


def test_no_strategy_sees_the_test_set(tmp_path):
    """A poisoned test set changes the score and not one bit of what strategies and learner did."""
    trial, task = make("clean=confident", "augment=shift", "weak=majority_vote")
    poisoned = replace(task, test=replace(task.test, x=255 - np.asarray(task.test.x), y=(task.test.y + 1) % 10))
    clean, dirty = run(trial, task, tmp_path / "a"), run(trial, poisoned, tmp_path / "b")
    assert clean["receipts"] == dirty["receipts"]
    assert clean["history"] == dirty["history"]
    assert clean["result"]["test"] != dirty["result"]["test"]


def test_no_strategy_sees_gold_that_it_did_not_buy(tmp_path):
    trial, task = make("clean=confident", "weak=label_model")
    blind = replace(task, gold=np.full(len(task.train), -1))
    assert timeless(run(trial, task, tmp_path / "a")) == timeless(run(trial, blind, tmp_path / "b"))


def test_the_oracle_sells_no_label_that_nobody_knows(tmp_path):
    trial, task = make("clean=oracle", "clean.k=120")
    gold = task.gold.copy()
    gold[5] = -1
    with pytest.raises(ValueError, match=r"knows no true class|cannot be asked|unknown"):
        run(trial, replace(task, gold=gold), tmp_path)


def test_the_upper_bound_buys_only_labels_that_nobody_has_paid_for(tmp_path):
    """Four gold rows beside a pool of thirty; and labels that are given, but not as gold."""
    for part, n in (("train", 30), ("valid", 12), ("test", 10)):
        rows = {
            str(i): {"data": {"text": f"{part} {i % 2} word{i}"}, "label": i % 2, "weak_labels": [i % 2]}
            for i in range(n)
        }
        (tmp_path / f"{part}.json").write_text(json.dumps(rows))
    (tmp_path / "label.json").write_text('{"0": "ham", "1": "spam"}')
    pool = ("task=wrench", f"task.path={tmp_path}", "task.n_gold=4", "model@baseline.model=bag_of_embeddings")
    cfg = composed(*pool, "protocol.steps=5", "weak=gold", "clean=oracle", "clean.k=10")
    source = build(plain(cfg.task))
    trial = Trial(
        task=plain(cfg.task), arm=arm_of(cfg), probe=plain(cfg.baseline.model), protocol=plain(cfg.protocol),
        data=source.fingerprint, seed=0,
    )  # fmt: skip
    ledger = run(trial, source.split(0), tmp_path / "cache")["ledger"]
    assert (ledger["gold"], ledger["given"], ledger["oracle"]) == (4, 0, 30)
    trial, task = make("weak=gold")
    ledger = run(trial, task, tmp_path / "cache")["ledger"]
    assert (ledger["gold"], ledger["given"], ledger["oracle"]) == (0, 120, 120)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("drop_all", "left no labelled row of 120"),
        ("drop_class", "left no row of 1 of 10 classes, the first is class 4"),
    ],
)
def test_a_strategy_that_drops_too_much_fails_the_trial(strategy, message, tmp_path):
    trial, task = make("clean=confident")
    node = {"_target_": f"test_trial.{strategy}", "_partial_": True, "needs": []}
    with pytest.raises(TrialFailed, match=message):
        run(replace(trial, arm={**trial.arm, "clean": node}), task, tmp_path)


def drop_all(train, tools):
    return train.rows(np.array([], dtype=np.int64))


def drop_class(train, tools):
    return train.rows(train.classes != 4)


def test_a_strategy_that_takes_the_probe_unannounced_is_refused(tmp_path):
    trial, task = make("clean=confident")
    node = {name: value for name, value in trial.arm["clean"].items() if name != "needs"}
    with pytest.raises(ValueError, match=r"must declare `needs: \[probe\]`"):
        run(replace(trial, arm={**trial.arm, "clean": node}), task, tmp_path)


def test_a_diverged_loss_fails_the_trial(tmp_path):
    trial, task = make("protocol.lr=1e30", "protocol.optimiser=sgd", "protocol.precision=fp32")
    with pytest.raises(TrialFailed, match="diverged"):
        run(trial, task, tmp_path)


FIRST = """
import sys
from contextlib import contextmanager
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/run"]
import harness.run.trial
from test_trial import make, run
measured, late = harness.run.trial.meter, []

@contextmanager
def watched():
    before = set(sys.modules)
    with measured() as bill:
        yield bill
    late.append(len(set(sys.modules) - before))

harness.run.trial.meter = watched
run(*make(*sys.argv[3:]), Path(sys.argv[2]))
print(*late)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arm",
    [
        ("weak=label_model", "clean=confident", "augment=color_jitter", "model=lenet"),
        ("model=random_forest", "augment=shift"),
    ],
)
def test_the_first_trial_of_a_process_is_not_charged_for_imports(arm, tmp_path):
    """Snorkel alone brings 400 modules, kornia as many, each imported inside the function that needs it."""
    words = [sys.executable, "-c", FIRST, str(ROOT / "tests"), str(tmp_path), *arm]
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, check=True)
    assert int(done.stdout) < 30


GOLDEN = {
    "model=mlp": "bd0c16bcfa54b6a538ccaa922341b1af2c797138",
    "clean=confident": "8db413c6d801dd08d6be6a224a07c060689c1adc",
    "weak=label_model augment=mixup": "38bdf09a8a20be399c4ac99a401b52d84e5b92e2",
}


def test_the_probe_keeps_the_groups_of_the_task_whole(tmp_path):
    """Of each patient there are four rows that tell who it is, and one label, which nothing foretells.

    Judged by probes that know the patient no label is suspect; judged by others, about half of them are.
    """
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(60), 4)
    told = np.column_stack([who + 0.03 * rng.standard_normal(len(who)), np.repeat(rng.integers(2, size=60), 4), who])
    file = tmp_path / "visits.csv"
    np.savetxt(file, told, delimiter=",", header="size,ill,patient", comments="", fmt=["%.6f", "%d", "%d"])
    dropped = {}
    for group in ("patient", "null"):
        said = ("task=table", f"task.path={file}", "task.label=ill", f"task.group={group}", "task.features=[size]")
        forest = ("clean=confident", "model@probe=random_forest", "probe.n_estimators=10", "model=logistic_regression")
        trial, task = make(*said, "task.n_train=null", *forest)
        dropped[group] = run(trial, task, tmp_path / "cache")["receipts"]["clean"]["n_dropped"]
    assert dropped["null"] < 20 < 60 < dropped["patient"], dropped
