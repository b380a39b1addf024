"""Malformed study files, and damaged records of a study that is finished."""

from __future__ import annotations

import atexit
import csv
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.commands import cli

from .cases import ALONE, BEFORE, Case, Ran, chosen
from .settings import MODULE, OPTION, TABLE

NAME = "small"
TEXT = """# @package _global_
defaults:
  - override /task: table
  - override /model@baseline.model: random_forest
  - override /hydra/sweeper: study

study: small
task: {path: table.csv, label: label}
baseline: {model: {n_estimators: 3}}
seeds: [0, 1]
arms:
  - clean=mine
  - model=logistic_regression
"""
TRIALS = 6
WORDS = ("-m", f"experiments={NAME}", "store=results", "cache=cache", "track=none", "hydra.launcher.n_jobs=1")


@cache
def finished() -> Path:
    """Returns a user's folder with the study of `TEXT`, finished; made once a process, by the real command."""
    folder = Path(tempfile.mkdtemp(prefix="malformed-study-"))
    atexit.register(_remove, folder, os.getpid())
    lay_out(folder, TEXT.encode())
    process = os.fork()
    if process == 0:
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        os._exit(cli.main(list(WORDS)))
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code != 0:
        raise RuntimeError(f"the well-formed study ended with {code}")
    return folder


def _remove(folder: Path, maker: int) -> None:
    """Removes the folder at the end of the process that made it, and not of those that are forked from it."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)


def lay_out(folder: Path, study: bytes) -> None:
    (folder / "conf" / "clean").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "clean" / "mine.yaml").write_text(OPTION)
    (folder / "mine.py").write_text(MODULE)
    (folder / "table.csv").write_text(TABLE)
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / f"{NAME}.yaml").write_bytes(study)


@dataclass
class Plan:
    """A study's file in the making."""

    rng: random.Random
    text: str = TEXT
    raw: list[Callable[[bytes], bytes]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lines: int = 1
    may: bool = False

    def replace(self, old: str, new: str) -> None:
        self.text = self.text.replace(old, new)


@dataclass(frozen=True)
class Fault:
    apply: Callable[[Any], None]
    slot: str

    @property
    def name(self) -> str:
        return self.apply.__name__


ARMS = "arms:\n  - clean=mine\n  - model=logistic_regression\n"


def no_header(plan: Plan) -> None:
    plan.replace("# @package _global_\n", plan.rng.choice(["", "# @package global\n", "\n\n", "# package _global_\n"]))
    plan.refused += ["package", "_global_", "small"]
    plan.lines = 3


def arms_wrong(plan: Plan) -> None:
    odd = plan.rng.choice(["arms: clean=mine\n", "arms: 5\n", "arms: {clean: mine}\n", "arms: [[[clean=mine]]]\n", "arms: [5]\n", "arms: [null]\n", "arms: ['']\n", "arms: [[]]\n", "arms: []\n", "arms: null\n", "arms:\n  - clean: mine\n", "arms: [claen=mine]\n", "arms: [clean=mien]\n", "arms: [clean.rosw=3]\n", "arms: [clean]\n", "arms: ['clean=']\n", "arms: ['=mine']\n", "arms: ['clean=mine,none']\n", "arms: [[clean=mine, clean=none]]\n", "arms: [seed=3]\n", "arms: [task=digits]\n", "arms: [protocol.lr=1]\n", "arms: ['clean=[']\n", "arms: [clean=mine, clean=mine]\n", "arms: [clean=mine, [clean=mine]]\n", "arms: [[clean=mine, clean.rows=5], clean=mine]\n", "arms: [clean=none]\n", "arms: [~clean]\n", "arms: [weak=majority_vote]\n", "arms: [augment=flip]\n", "arms: ['clean=${nowhere}']\n", "arms: [clean=mine, model=lenet]\n", "arms: ${nowhere}\n", "arms: ${seeds}\n"])  # fmt: skip
    plan.replace(ARMS, odd)
    plan.refused += ["arm", "clean", "seed", "task", "protocol", "weak", "augment", "nowhere", "override", "lenet"]
    plan.lines = 3


def seeds_wrong(plan: Plan) -> None:
    odd = plan.rng.choice(["[a]", "[-1]", "[0, 0]", "[]", "null", "0", "-3", "[1.5]", "1.5", "[true]", "'0'", "{a: 1}", "[[0]]", "[9223372036854775808]", "[1e3]", "abc", "[null]", "true", "1000000000", "0..3", "range(3)"])  # fmt: skip
    plan.replace("seeds: [0, 1]", f"seeds: {odd}")
    plan.refused += ["seed"]


def design_wrong(plan: Plan) -> None:
    plan.text += f"design: {plan.rng.choice(['one', 'Factorial', '5', 'null', '[one_factor]', 'true', '{a: b}'])}\n"
    plan.refused += ["design"]


def cross_wrong(plan: Plan) -> None:
    plan.text += f"cross: {plan.rng.choice(['5', '[clean=mine]', '[[]]', '[[seed=1]]', '[[clean=mine],[clean=none]]', '{a: 1}', 'true', '[[clean=mine, clean=mine]]', '[null]', '[[salt=a]]', '[[claen=mine]]', 'text'])}\n"  # fmt: skip
    plan.refused += ["cross", "claen", "clean", "arm"]
    plan.lines = 3


def precision_wrong(plan: Plan) -> None:
    plan.text += f"precision: {plan.rng.choice(['1', '{half_width: 1}', '{half_width: 0, max_seeds: 9}', '{half_width: 1, max_seeds: 1}', '{half_width: a, max_seeds: 9}', '{half_width: 1, max_seeds: 2.5}', '[1, 9]', '{half_width: .inf, max_seeds: 9}', '{half_width: .nan, max_seeds: 9}', '{half_width: 1, max_seeds: 9, more: 1}', 'true', '{half_width: 1, max_seeds: 99999999999}'])}\n"  # fmt: skip
    plan.refused += ["precision"]


def name_wrong(plan: Plan) -> None:
    plan.replace("study: small", f"study: {plan.rng.choice(['../up', 'a/b', 'null', '[a]', chr(39) * 2, '{a: 1}', '.', '..', '-x', chr(34) + 'a b' + chr(34), '/tmp/x'])}")  # fmt: skip
    plan.refused += ["study"]


def unknown_key(plan: Plan) -> None:
    plan.text += plan.rng.choice(["sedes: [1]\n", "arm: [clean=mine]\n", "models: [mlp]\n", "5: 6\n", "null: 1\n", "repeat: 3\n", "hydra_: 1\n", "Arms: []\n", "true: 1\n"])  # fmt: skip
    plan.refused += ["sedes", "arm", "models", "5", "null", "repeat", "hydra_", "true", "key"]
    plan.lines = 3


def key_twice(plan: Plan) -> None:
    plan.text += plan.rng.choice(["seeds: [3]\n", "study: other\n", "arms: [clean=mine]\n", "task: {label: b}\n"])
    plan.refused += ["line", "duplicate"]


def no_sweeper(plan: Plan) -> None:
    plan.replace("  - override /hydra/sweeper: study\n", "")
    plan.refused += ["sweeper"]


def defaults_wrong(plan: Plan) -> None:
    old, new = plan.rng.choice([("/task: table", "/task: tabel"), ("random_forest", "random_forrest"), ("override /task", "override /tsak"), ("/hydra/sweeper: study", "/hydra/sweeper: studdy"), ("  - override /task: table\n", "  - override /task\n"), ("defaults:\n", "defaults: 5\nx:\n"), ("  - override /task: table\n", "  - small\n  - override /task: table\n"), ("  - override /task: table\n", "  - nowhere\n"), ("override /model@baseline.model", "override /model@baseline.modle"), ("  - override /task: table\n", "  - 7\n")])  # fmt: skip
    plan.replace(old, new)
    plan.refused += [
        "task",
        "tabel",
        "forrest",
        "tsak",
        "sweeper",
        "default",
        "line",
        "small",
        "nowhere",
        "modle",
        "studdy",
    ]
    plan.lines = 3


def task_wrong(plan: Plan) -> None:
    old, new = plan.rng.choice([("label: label", "label: lable"), ("path: table.csv", "path: tabel.csv"), ("path: table.csv", "path: null"), ("task: {path", "task: {paht"), ("label: label}", "label: label, n_train: -1}"), ("task: {path: table.csv, label: label}", "task: table"), ("task: {path: table.csv, label: label}", "task: null"), ("task: {path: table.csv, label: label}", "task: [a]"), ("n_estimators: 3", "n_estimator: 3"), ("n_estimators: 3", "n_estimators: many"), ("baseline: {model: {n_estimators: 3}}", "baseline: {modle: {n_estimators: 3}}"), ("baseline: {model: {n_estimators: 3}}", "baseline: null"), ("baseline: {model: {n_estimators: 3}}", "baseline: {model: mlp}"), ("baseline: {model: {n_estimators: 3}}", "model: {n_estimators: 3}"), ("n_estimators: 3", "n_estimators: 0"), ("n_estimators: 3", "n_estimators: -3")])  # fmt: skip
    plan.replace(old, new)
    plan.refused += ["lable", "tabel", "task", "paht", "n_train", "estimator", "modle", "baseline", "model"]
    plan.lines = 6


def words_wrong(plan: Plan) -> None:
    plan.words = [plan.rng.choice(["seed=0,1", "seed=3", "model=mlp", "clean.rows=3", "arms=[", "seeds=[a]", "clean=mine,none", "hydra.launcher.n_jobs=0", "hydra.launcher.n_jobs=x", "experiments=nowhere", "hydra/sweeper=basic", "store=a,b", "study=x y", "retry=5", "design=z"])]  # fmt: skip
    plan.refused += [
        "seed",
        "model",
        "clean",
        "arms",
        "n_jobs",
        "nowhere",
        "sweeper",
        "store",
        "study",
        "retry",
        "design",
        "sweep",
    ]
    plan.lines = 3


def broken_yaml(plan: Plan) -> None:
    plan.text += plan.rng.choice(["\tseeds: 1\n", "arms [\n", "x: [1, 2\n", "x: 'a\n", "- a\n", "x: *nowhere\n", "x: !!python/object:os.system 1\n", "  x: 1\n", "&a [*a]\n", "x: &a {b: *a}\n", "---\nx: 1\n"])  # fmt: skip
    plan.refused += ["line", "small.yaml"]


def no_mapping(plan: Plan) -> None:
    plan.text = plan.rng.choice(["", "# @package _global_\n", "# @package _global_\n5\n", "# @package _global_\n[a]\n", "# @package _global_\nnull\n", "text"])  # fmt: skip
    plan.refused += ["small"]


def other_bytes(plan: Plan) -> None:
    plan.raw.append(
        plan.rng.choice(
            [lambda raw: raw.decode().encode("utf-16"), lambda raw: raw + b"# caf\xe9\n", lambda raw: raw + b"\0"]
        )
    )
    plan.refused += ["UTF-8", "small"]
    plan.lines = 2


def harmless(plan: Plan) -> None:
    odd = plan.rng.choice(
        ["crlf", "end", "comment", "seeds", "quotes", "list", "design", "cross", "order", "single", "word"]
    )
    changes: dict[str, Callable[[], None]] = {
        "crlf": lambda: plan.raw.append(lambda raw: raw.replace(b"\n", b"\r\n")),
        "end": lambda: plan.raw.append(lambda raw: raw.rstrip()),
        "comment": lambda: plan.replace("seeds: [0, 1]", "# caf\u00e9\nseeds: [0, 1] # two"),
        "seeds": lambda: plan.replace("seeds: [0, 1]", "seeds: 2"),
        "quotes": lambda: plan.replace("- clean=mine", "- 'clean=mine'"),
        "list": lambda: plan.replace("- clean=mine", "- [clean=mine]"),
        "design": lambda: plan.replace("study: small", "study: small\ndesign: one_factor"),
        "cross": lambda: plan.replace("study: small", "study: small\ncross: []"),
        "order": lambda: plan.replace("seeds: [0, 1]", "seeds: [1, 0]"),
        "single": lambda: plan.replace("arms:\n  - clean=mine\n  - model=logistic_regression\n", "arms: [clean=mine, model=logistic_regression]\n"),
        "word": lambda: plan.words.append("threads=1"),
    }  # fmt: skip
    changes[odd]()


STUDY_FAULTS = tuple(
    Fault(apply, slot) for apply, slot in (
        (harmless, "harmless"), (no_header, ALONE), (arms_wrong, "arms"), (arms_wrong, "arms"), (seeds_wrong, "seeds"), (design_wrong, "design"),
        (cross_wrong, "cross"), (precision_wrong, "precision"), (name_wrong, "name"), (unknown_key, "key"), (key_twice, ALONE),
        (no_sweeper, ALONE), (defaults_wrong, ALONE), (task_wrong, "task"), (words_wrong, "words"), (broken_yaml, ALONE),
        (no_mapping, ALONE), (other_bytes, ALONE), (harmless, ALONE), (harmless, ALONE), (harmless, ALONE),
    )
)  # fmt: skip


def case(seed: int) -> Case:
    """Returns the malformed study of a seed; the records of the well-formed one are there, so what is sound has run."""
    rng = random.Random(f"study {seed}")
    plan = Plan(rng)
    faults = chosen(rng, STUDY_FAULTS, 2)
    for fault in faults:
        fault.apply(plan)
    finished()  # here, so that the processes that are forked for the cases find it
    content = plan.text.encode()
    for change in plan.raw:
        content = change(content)

    def write(folder: Path) -> None:
        lay_out(folder, content)
        if not plan.refused:
            shutil.copytree(finished() / "results", folder / "results")

    return Case(
        "study", seed, (*(fault.name for fault in faults), *plan.words), write, (*WORDS, *plan.words), tuple(plan.refused),
        _all_done, plan.may, plan.lines * len(faults),
    )  # fmt: skip


def _all_done(ran: Ran) -> str:
    """Returns what is wrong unless the study found all of its trials done: it is then the same study."""
    told = f"study {NAME}: {TRIALS} trials, {TRIALS} are done already, 0 to run"
    return "" if told in ran.err and "index.html" in ran.out else f"expected '{told}'"


# Records


@dataclass
class Damage:
    """A finished study in the making of its damage."""

    rng: random.Random
    steps: list[Callable[[Path], None]] = field(default_factory=list)
    harmless: bool = False

    def record(self, folder: Path) -> Path:
        """Returns one record, the same in every run of a case."""
        paths = sorted((folder / "trials").glob("*.json"))
        return paths[self.rng.randrange(len(paths))]


JUNK = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b"5",
    b'"text"',
    b"\xff\xfe\x00",
    b"\0" * 100,
    b"NaN",
    b"[" * 100_000,
    b'{"key": NaN}',
)


def record_junk(damage: Damage) -> None:
    junk = damage.rng.choice(JUNK)
    damage.steps.append(lambda folder: damage.record(folder).write_bytes(junk) and None)


def record_cut(damage: Damage) -> None:
    share = damage.rng.random()

    def cut(folder: Path) -> None:
        path = damage.record(folder)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    damage.steps.append(cut)


def record_edited(damage: Damage) -> None:
    """Numbers that somebody changed: the checksum tells."""

    def edit(folder: Path) -> None:
        path = damage.record(folder)
        record = json.loads(path.read_text())
        record["result"]["test"] = 0.999
        path.write_text(json.dumps(record))

    damage.steps.append(edit)


def record_flipped(damage: Damage) -> None:
    def flip(folder: Path) -> None:
        path = damage.record(folder)
        raw = bytearray(path.read_bytes())
        for _ in range(damage.rng.randint(1, 5)):
            raw[damage.rng.randrange(len(raw))] ^= 1 << damage.rng.randrange(8)
        path.write_bytes(bytes(raw))

    damage.steps.append(flip)


def record_gone(damage: Damage) -> None:
    damage.steps.append(lambda folder: damage.record(folder).unlink())


def record_under_another_name(damage: Damage) -> None:
    damage.steps.append(lambda folder: damage.record(folder).rename(folder / "trials" / f"{'0' * 40}.json") and None)


def folder_as_record(damage: Damage) -> None:
    def make(folder: Path) -> None:
        path = damage.record(folder)
        path.unlink()
        path.mkdir()

    damage.steps.append(make)


def dead_link(damage: Damage) -> None:
    def link(folder: Path) -> None:
        path = damage.record(folder)
        path.unlink()
        path.symlink_to("nowhere.json")

    damage.steps.append(link)


def plan_damaged(damage: Damage) -> None:
    junk = damage.rng.choice(
        [
            *JUNK,
            None,
            b'{"name": "small"}',
            b'{"name": "small", "trials": []}',
            b'{"name": "small", "trials": [{}]}',
            b'{"trials": 5}',
        ]
    )
    damage.steps.append(lambda folder: (folder / "study.json").unlink() if junk is None else (folder / "study.json").write_bytes(junk) and None)  # fmt: skip


def test_set_damaged(damage: Damage) -> None:
    junk = damage.rng.choice([*JUNK, None, b'{"ids": [], "y": {}, "classes": []}'])

    def spoil(folder: Path) -> None:
        path = sorted((folder / "tests").glob("*.json"))[0]
        path.unlink() if junk is None else path.write_bytes(junk)

    damage.steps.append(spoil)


def rubbish_beside(damage: Damage) -> None:
    def litter(folder: Path) -> None:
        (folder / "trials" / ".x.part").write_bytes(b"half")
        (folder / "trials" / "notes.txt").write_text("mine")
        (folder / ".running").mkdir(exist_ok=True)
        (folder / ".running" / "x").write_text("what")
        (folder / "asked").mkdir(exist_ok=True)
        (folder / "asked" / "x.json").write_text("{")

    damage.steps.append(litter)
    damage.harmless = True


def tables_gone(damage: Damage) -> None:
    def remove(folder: Path) -> None:
        for name in ("leaderboard.csv", "table.parquet", "index.html", "log.txt"):
            (folder / name).unlink(missing_ok=True)

    damage.steps.append(remove)
    damage.harmless = True


RECORD_FAULTS = tuple(
    Fault(apply, slot) for apply, slot in (
        (record_junk, "a"), (record_cut, "a"), (record_edited, "a"), (record_flipped, "a"), (record_gone, "a"), (record_under_another_name, "a"),
        (folder_as_record, "a"), (dead_link, "a"), (plan_damaged, "plan"), (test_set_damaged, "tests"), (rubbish_beside, "beside"), (tables_gone, "tables"),
    )
)  # fmt: skip


def record_case(seed: int) -> Case:
    """Returns the damaged records of a seed, and a command that reads them."""
    finished()
    rng = random.Random(f"record {seed}")
    damage = Damage(rng)
    faults = chosen(rng, RECORD_FAULTS, 2)
    for fault in faults:
        fault.apply(damage)
    words = rng.choice(
        [
            ("report", NAME, "store=results"),
            ("slices", NAME, "store=results"),
            ("plan", NAME, "--effect", "2", "store=results"),
            WORDS,
        ]
    )
    sound = all(fault.slot in ("beside", "tables") for fault in faults)

    def write(folder: Path) -> None:
        lay_out(folder, TEXT.encode())
        shutil.copytree(finished() / "results", folder / "results")
        for step in damage.steps:
            step(folder / "results" / NAME)
        there = [str(path.relative_to(folder)) for path in folder.rglob("*")]
        (folder / BEFORE).write_text("\n".join(there))

    names = () if sound else ("trials", "study.json", "tests", "record", NAME)
    return Case(
        "record", seed, (words[0] if words != WORDS else "study", *(fault.name for fault in faults)), write, words, names,
        lambda ran: same_numbers(ran, sound or words == WORDS, words[0] in ("report", "-m")), not sound, 3,
    )  # fmt: skip


def same_numbers(ran: Ran, sound: bool, writes: bool) -> str:
    """Returns which arm's numbers differ from those of the undamaged study, where nothing says that records are missing.

    A command that does not write the leaderboard cannot bring back the one that a case has removed.
    """
    if not (writes or (ran.folder / "results" / NAME / "leaderboard.csv").is_file()):
        return ""
    mine, theirs = (read_board(place / "results" / NAME) for place in (ran.folder, finished()))
    wrong = [arm for arm, row in theirs.items() if mine.get(arm, {}).get("effect") != row.get("effect")]
    said = ran.out + ran.err + board_text(ran.folder / "results" / NAME)
    told = any(
        word in said
        for word in ("damaged", "missing", "not finished", "no record", "not a whole", "changed after", "of 2")
    )
    if wrong and sound:
        return f"other numbers for {wrong}"
    return f"other numbers for {wrong}, and nothing is said" if wrong and not told else ""


def read_board(folder: Path) -> dict[str, dict[str, str]]:
    """Returns the rows of a leaderboard by arm; none without a leaderboard."""
    path = folder / "leaderboard.csv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {row["arm"]: row for row in csv.DictReader(file)}


def board_text(folder: Path) -> str:
    path = folder / "leaderboard.md"
    return path.read_text() if path.is_file() else ""
