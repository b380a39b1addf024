"""What every option promises, one function a promise: each fails with a sentence that says which one was broken.

The suites call them on every YAML of a group; `test_planted.py` calls them on options that are bad on purpose.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_object
from small_sets import global_state, scatter_global_state

from harness.data import Augment, EvalSet, Task, TrainSet
from harness.learners import Fit, Learner, Protocol, Run
from harness.learners.batches import BlendedBatch
from harness.run.options import DECLARED
from harness.run.trial import Place, Trial, run_trial
from harness.storage.cache import Cache
from harness.storage.store import unpack
from harness.strategies import Strategy, Tools
from harness.streams import stream
from harness.tables import cells_table, columns_of

Node = Mapping[str, Any]
ToolsOf = Callable[[int], Tools]
"""Fresh tools, the generator at its start; another number gives another generator."""
PASSED = (["train", "tools"], ["train", "valid", "run"], ["rows", "k"], ["logits", "y", "w", "epoch"])
"""What the harness passes to strategies, learners, networks and losses, by place; everything else is a hyper-parameter."""
NEEDS = ("votes", "gold", "probe", "dynamics", "valid", "test", "tuning", "cells")
"""What an option may need."""


# What a YAML says


def check_declares(text: str, node: Node) -> None:
    """A first line says what the option does; it is partial, and says what it fits and needs."""
    assert text.startswith("# "), "the first line must say what the option does"
    assert node.get("_partial_") is True, "_partial_ must be true"
    assert node.get("fits"), "fits must name at least one modality"
    assert set(node["fits"]) <= {"image", "text", "table"}, f"fits {node['fits']} names no modality"
    assert set(node.get("needs", [])) <= set(NEEDS), f"needs {node['needs']} names nothing known"
    assert node.get("dull", True) is True, "dull must be true, or absent"


def check_binds(node: Node) -> None:
    """Every hyper-parameter is keyword-only and stands in the YAML, and nothing else does; the same for nodes within."""
    for inner in nodes_of(node):
        target = inner["_target_"]
        parameters = inspect.signature(get_object(target)).parameters.values()
        given = {name for name in inner if name not in (*DECLARED, "_target_", "_partial_")}
        wild = [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        assert not wild, f"{target} takes *{wild[0]}: a misspelt parameter would be ignored"
        hyper = {p.name for p in parameters if p.kind == p.KEYWORD_ONLY}
        loose = [p.name for p in parameters if p.kind != p.KEYWORD_ONLY]
        assert loose in PASSED, f"{target} takes {loose} by place, none of {PASSED}: the rest must be keyword-only"
        assert given <= hyper, f"{target} has no parameter {sorted(given - hyper)}"
        assert given >= hyper, f"{target}: {sorted(hyper - given)} must stand in the YAML"


def check_no_private_budget(node: Node) -> None:
    """A model brings nothing of its own that the protocol gives to all arms alike."""
    shared = {field.name for field in fields(Protocol)}
    for inner in nodes_of(node):
        own = sorted(shared & set(inner))
        assert not own, f"{inner['_target_']} has {own} of its own; the protocol gives them to all arms"


def nodes_of(node: Node) -> Iterator[Node]:
    """The node and those within it that name a target."""
    if "_target_" in node:
        yield node
    for value in node.values():
        if isinstance(value, Mapping):
            yield from nodes_of(value)


# What a strategy does


def check_sound(train: TrainSet, after: TrainSet) -> None:
    """The result holds rows of the input, each once and in the same order, with content as it was and sound labels."""
    place = {name: row for row, name in enumerate(train.ids.tolist())}
    alien = [name for name in after.ids.tolist() if name not in place]
    assert not alien, f"{len(alien)} ids are none of the input's, the first is {alien[0]}"
    rows = [place[name] for name in after.ids.tolist()]
    assert len(after), "no row is left"
    assert len(set(rows)) == len(rows), "an id occurs twice"
    assert rows == sorted(rows), "the rows changed their order"
    assert np.array_equal(after.x, train.x[rows]), "the content of a row changed, or left its id"
    assert np.array_equal(after.votes, train.votes[rows]), "votes changed"
    assert after.y.dtype == after.w.dtype == np.float32, "labels and weights must be float32"
    assert (after.y >= 0).all(), "a label has a negative probability"
    assert np.allclose(after.y.sum(1), 1, atol=1e-6), "a label is no distribution"
    assert not any(part.flags.writeable for part in columns(after)), "the result can be written to"


def check_added(train: TrainSet, after: TrainSet) -> TrainSet:
    """New rows stand after those of the input: labelled hard, of its type, without votes. Returns the rows before them."""
    kept = int(np.isin(after.ids, train.ids).sum())
    own, new = after.rows(np.arange(kept)), after.rows(np.arange(kept, len(after)))
    assert len(new), "no row was added"
    assert not set(new.ids.tolist()) & set(train.ids.tolist()), "a new row has an old id"
    assert len(set(new.ids.tolist())) == len(new), "two new rows have one id"
    assert new.x.dtype == train.x.dtype, f"the new rows are {new.x.dtype}, the old ones {train.x.dtype}"
    assert ((new.y == 0) | (new.y == 1)).all(), "a new row has a soft label"
    assert new.labelled.all(), "a new row has no label"
    assert (new.votes == -1).all(), "somebody voted on a new row"
    return own


def check_transformed(train: TrainSet, after: TrainSet, exact: bool) -> TrainSet:
    """What was done to the features is done to a row that is predicted, whatever rows come with it.

    With `exact` the training rows went through the same. Returns the set with its content as it was, for `check_sound`.
    """
    place = {name: row for row, name in enumerate(train.ids.tolist())}
    x = train.x[[place[name] for name in after.ids.tolist()]]
    prepare = after.prepare or (lambda rows: rows)
    batch = prepare(x)
    alone = np.concatenate([prepare(x[[row]]) for row in range(len(x))])
    assert equal_rows(alone, batch), "what becomes of a row hangs on the rows that come with it"
    assert not exact or equal_rows(np.asarray(after.x), batch), "training rows went through something else"
    assert len(prepare(x[:0])) == 0, "no rows became some"
    return replace(after, x=x)


def equal_rows(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two tables hold the same, raw cells by their text, numbers as far as single precision goes."""
    if first.dtype.names:
        return first.tolist() == second.tolist()
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=1e-5, atol=1e-5, equal_nan=True))


def check_pure(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """The input is what it was, for whoever else holds it."""
    content, kept = train.digest(), train.augment
    strategy(train, tools(0))
    assert train.digest() == content, "the strategy changed its input"
    assert train.augment is kept, "the strategy changed its input's augmentation"


def check_reproducible(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Equal streams give equal bits, on the first call and later, wherever the global generators stand."""
    found = []
    for luck in (0, 1):
        with global_luck(luck):
            found.append(strategy(train, tools(0)).digest())
    assert found[0] == found[1], "two calls with equal streams differ: something draws from elsewhere"


def check_global_generators_kept(call: Callable[[], Any]) -> None:
    """Nobody's luck changes because the option ran.

    The generators are first put where no seed in the code would put them: whoever seeds them with a number of his own
    would otherwise go unseen where the same number had been seeded before.
    """
    scatter_global_state()
    before = global_state()
    call()
    moved = [name for name, state in global_state().items() if state != before[name]]
    assert not moved, f"the global generator of {' and '.join(moved)} was moved"


def check_draws(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Other streams give other results: what is random hangs on the stream and not on a seed in the code."""
    found = {strategy(train, tools(luck)).digest() for luck in range(3)}
    assert len(found) == 3, f"three streams gave {len(found)} results: the draws hang on something else"


def check_ties(strategy: Strategy, train: TrainSet, tools: ToolsOf) -> None:
    """Rows that nothing tells apart are not chosen by their place.

    Turning the rows round must change no row's fate, unless fate is drawn: then other streams change it too.
    `tools` gives probabilities that go with the ids. Labels may differ by rounding, as sums run in another order.
    """
    first = strategy(train, tools(0))
    turned = strategy(train.rows(np.arange(len(train))[::-1]), tools(0))
    drawn = any(strategy(train, tools(luck)).digest() != first.digest() for luck in range(1, 6))
    assert drawn or alike(first, turned), "ties are broken by the order of rows"


def alike(first: TrainSet, second: TrainSet) -> bool:
    """Whether two sets hold the same rows with the same labels, in whatever order."""
    one, two = (found.rows(np.argsort(found.ids)) for found in (first, second))
    if not np.array_equal(one.ids, two.ids):
        return False
    if one.x.dtype.kind in "fV" and not equal_rows(one.x, two.x):
        return False
    return bool(np.allclose(one.y, two.y, atol=1e-4) and np.allclose(one.w, two.w, atol=1e-6))


def check_augments(augment: Augment, x: Any, y: torch.Tensor) -> None:
    """A batch of the same shape and type, labels that are distributions, and the batch that came in as it was."""
    kept = copy_of(x), y.clone()
    new, labels = augment(x, y, stream(0, "augment"))
    assert same(x, kept[0]), "the augmentation changed the batch that it was given"
    assert torch.equal(y, kept[1]), "the augmentation changed the labels that it was given"
    assert labels.shape == y.shape, f"labels of shape {tuple(y.shape)} became {tuple(labels.shape)}"
    assert torch.allclose(labels.sum(1), torch.ones(len(y))), "a label is no distribution"
    if isinstance(new, BlendedBatch):
        assert sorted(set(new.partner.tolist()) | set(range(len(y)))) == list(range(len(y))), "a partner is no row"
        assert ((new.share >= 0) & (new.share <= 1)).all(), "a share is none"
        new = new.batch
    assert len(new) == len(x), f"{len(x)} rows became {len(new)}"
    if torch.is_tensor(x):
        assert (new.shape, new.dtype) == (x.shape, x.dtype), f"{tuple(x.shape)} became {tuple(new.shape)}"


def check_augments_by_its_stream(augment: Augment, x: Any, y: torch.Tensor) -> None:
    """Equal streams give equal batches, another one another batch, and nobody else's luck plays a part."""
    found = []
    for seed, luck in ((0, 0), (0, 1), (1, 0)):
        with global_luck(luck):
            check_global_generators_kept(lambda seed=seed: found.append(augment(x, y, stream(seed, "augment"))))
    first, again, other = found
    assert same(first[0], again[0]), "two calls with equal streams differ: something draws from elsewhere"
    assert torch.equal(first[1], again[1]), "two calls with equal streams give other labels"
    assert not same(first[0], other[0]), "another stream gave the same batch: the draws hang on something else"


# What a learner does


def check_fit(learner: Learner, train: TrainSet, valid: EvalSet, runs: Callable[[], Run]) -> Fit:
    """Equal runs give equal bits, and leave input and global generators as they were; `runs` gives a fresh run.

    Returns the first fit.
    """
    content, fits = train.digest(), []
    for luck in (0, 1):
        with global_luck(luck):
            check_global_generators_kept(lambda: fits.append(learner(train, valid, runs())))
    first, second = fits
    assert train.digest() == content, "the learner changed its input"
    assert equal_fits(first, second, valid.x), "two equal runs differ: something draws from elsewhere"
    check_probabilities(first.predict(valid.x), len(valid), train.k)
    return first


def check_probabilities(found: np.ndarray, n: int, k: int) -> None:
    """A distribution a row, in single precision."""
    assert found.dtype == np.float32, f"probabilities are {found.dtype}, not float32"
    assert found.shape == (n, k), f"probabilities of shape {found.shape}, not {(n, k)}"
    assert np.allclose(found.sum(1), 1, atol=1e-5), "a row of probabilities does not sum to 1"


def check_budget(learner: Learner, train: TrainSet, valid: EvalSet, run: Run, fits: int = 1, networks: int = 1) -> None:
    """A learner that trains in steps takes exactly those of the run, counted by the batches that it augments.

    An effort that takes the budget in each of several `fits`, or shows a batch to several `networks`, owns up to it.
    """
    seen: list[int] = []

    def count(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        seen.append(len(y))
        return x, y

    fit = learner(replace(train, augment=count), valid, run)
    batch = min(len(train), run.protocol.batch_size)
    assert len(seen) == fits * run.steps, f"{len(seen)} steps were taken, the run has {run.steps}"
    assert sum(seen) == fits * run.steps * batch, f"{sum(seen)} examples seen, {fit.examples} reported"
    assert fit.examples == networks * sum(seen), f"{networks * sum(seen)} examples seen, {fit.examples} reported"


def check_weights(learner: Learner, train: TrainSet, valid: EvalSet, run: Run) -> None:
    """A row of weight 0 has no part in anything."""
    w = train.w.copy()
    w[::5] = 0
    muted = replace(train, w=w)
    first, second = (learner(rows, valid, run) for rows in (muted, muted.rows(muted.labelled)))
    assert equal_fits(first, second, valid.x), "rows of weight 0 were trained on"


def check_luck(learner: Learner, train: TrainSet, valid: EvalSet, run: Run) -> None:
    """Another salt gives another model: what is random hangs on the run's streams and not on a seed in the code."""
    first, second = (learner(train, valid, replace(run, salt=salt)) for salt in ("", "other"))
    alike = np.array_equal(first.predict(valid.x), second.predict(valid.x))
    assert not alike, "another salt gave the same model: the draws hang on something else"


def equal_fits(first: Fit, second: Fit, x: Any) -> bool:
    """Whether two fits predict the same bits by way of the same curve."""
    return np.array_equal(first.predict(x), second.predict(x)) and first.history == second.history


# What a trial must not see


def check_blind(trial: Trial, task: Task, folder: Path) -> None:
    """Nothing that an arm does may hang on validation rows, test rows, or true classes that it did not buy.

    The task is poisoned, once in what is only scored and once in every row too, and the trial is run again. With
    `protocol.selection=last` the validation rows play no part either. What the arm declares that it needs is left as
    it is: gold labels that it buys, validation rows that it pays for, test rows (never their labels) that it is told
    apart from.
    """
    k, lent = len(task.classes), needs(trial)
    parts = {"test": task.test} if lent & {"valid", "tuning"} else {"valid": task.valid, "test": task.test}
    labels = {name: replace(part, y=(part.y + 1) % k) for name, part in parts.items()}
    gold = task.gold if "gold" in lent else (task.gold + 1) % k
    rows = {name: part if name in lent else replace(part, x=turned(part.x)) for name, part in labels.items()}
    records = [
        run_trial(trial, found, Place(Cache(folder / str(number)), "cpu"))
        for number, found in enumerate((task, replace(task, gold=gold, **labels), replace(task, gold=gold, **rows)))
    ]
    receipts = [record["receipts"] for record in records]
    assert receipts[0] == receipts[1] == receipts[2], "a strategy saw validation, test or unbought true classes"
    curves = [[{**row, "valid": None} for row in record["history"]] for record in records]
    assert curves[0] == curves[1] == curves[2], "training saw validation, test or unbought true classes"
    predicted = [unpack(record["result"]["predictions"]) for record in records[:2]]
    assert np.array_equal(*predicted), "the model hangs on labels that it must not see"


def needs(trial: Trial) -> set[str]:
    """What the options of the arm declare that they need."""
    return {need for node in trial.arm.values() for need in (node.get("needs") or [])}


def turned(x: np.ndarray) -> np.ndarray:
    """Other rows of the same kind: a negative, and every text or cell backwards."""
    if x.dtype.names:
        return cells_table({name: turned(cells) for name, cells in columns_of(x).items()})
    if x.dtype.kind == "U":
        return np.array([text[::-1] for text in x.tolist()])
    return 255 - x if x.dtype == np.uint8 else -x


# What the checks need


@contextmanager
def global_luck(seed: int) -> Iterator[None]:
    """Puts the global generators of Python, numpy and torch somewhere else for a block."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - kept, never drawn from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - where an option must not look
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002 - see above
        torch.set_rng_state(kept[2])


def columns(train: TrainSet) -> tuple[np.ndarray, ...]:
    """A set's arrays."""
    return train.ids, train.x, train.y, train.w, train.votes


def copy_of(x: Any) -> Any:
    """A batch of the same content."""
    return x.clone() if torch.is_tensor(x) else list(x)


def same(first: Any, second: Any) -> bool:
    """Whether two batches are equal."""
    if isinstance(first, BlendedBatch):
        parts = ((first.partner, second.partner), (first.share, second.share), (first.batch, second.batch))
        return all(same(one, other) for one, other in parts)
    return torch.equal(first, second) if torch.is_tensor(first) else list(first) == list(second)
