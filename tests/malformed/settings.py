"""Malformed configs: options of the user's own in YAML, and words of the command line."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .cases import ALONE, Case, Ran, chosen

OPTION = """# drops the first rows
_target_: mine.first_rows
_partial_: true
fits: [image, text, table]
rows: 5
share: 0.5
names: [a, b]
"""
MODULE = '''
import numpy as np


def first_rows(train, tools, *, rows: int, share: float, names: list[str]):
    """Drops the first `rows` rows; the other parameters do nothing."""
    if not 0 <= share <= 1 or not names:
        from harness.errors import BadInput
        raise BadInput(f"share={share} must lie between 0 and 1")
    return train.rows(np.arange(len(train)) >= rows)


number = 7
'''
TABLE = "a,b,label\n" + "".join(f"{row * 7 % 11},{row % 5},{'xy'[row % 2]}\n" for row in range(40))
WORDS = (
    "clean=mine", "task=table", "task.path=table.csv", "task.label=label", "model@baseline.model=random_forest",
    "baseline.model.n_estimators=3", "store=results", "cache=cache", "track=none",
)  # fmt: skip


@dataclass
class Setting:
    """An option's YAML and the words of a command, and what should come of them."""

    rng: random.Random
    text: str = OPTION
    raw: list[Callable[[bytes], bytes]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    dropped: int = 5
    may: bool = False
    lines: int = 1
    files: dict[str, str] = field(default_factory=dict)

    def replace(self, line: str, *new: str) -> None:
        """Replaces a line, found by how it begins."""
        lines = self.text.splitlines()
        place = next((n for n, one in enumerate(lines) if one.startswith(line)), None)
        if place is not None:
            lines[place : place + 1] = list(new)
        self.text = "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Fault:
    apply: Callable[[Setting], None]
    slot: str

    @property
    def name(self) -> str:
        return self.apply.__name__


# YAML that is none


def broken_yaml(setting: Setting) -> None:
    odd = setting.rng.choice(["\trows: 5", "rows: [1, 2", "rows: 'a", 'rows: "a', "rows: {a: 1", "rows 5", "rows: 5: 6", "- rows", "rows: *nothing", "rows: &a &b 5", "@rows: 5", "rows: !!python/object:os.system 5", "rows: !mine 5", "%YAML 9", "? [a]\n: 5\n  b", "rows: 5\n   share: 1", "`rows`: 5", "---\n---\nrows: 5", "rows: |\nx", "<<: 5"])  # fmt: skip
    setting.replace("rows", odd)
    setting.refused += ["line", "clean", "rows", "mine.yaml"]


def key_twice(setting: Setting) -> None:
    setting.replace("rows", "rows: 5", "rows: 6")
    setting.refused += ["rows", "duplicate"]


def no_mapping(setting: Setting) -> None:
    setting.text = setting.rng.choice(["", "5", "[1, 2]", "text", "null", "# nothing\n", "- a\n- b\n", "true", "{}", "...", "---\n---\n", "&a [*a]"])  # fmt: skip
    setting.refused += ["clean", "mine"]


def other_encoding(setting: Setting) -> None:
    setting.raw.append(setting.rng.choice([lambda raw: raw.decode().encode("utf-16"), lambda raw: raw + b"# caf\xe9", lambda raw: raw + b"\0", lambda raw: raw[:30] + b"\x01\x02" + raw[30:]]))  # fmt: skip
    setting.refused += ["UTF-8", "mine.yaml", "clean", "line"]


def harmless_bytes(setting: Setting) -> None:
    setting.raw.append(setting.rng.choice([lambda raw: raw.replace(b"\n", b"\r\n"), lambda raw: b"\xef\xbb\xbf" + raw, lambda raw: raw.rstrip(), lambda raw: raw + b"\n\n# caf\xc3\xa9\n", lambda raw: raw + b"...\n"]))  # fmt: skip


def harmless_form(setting: Setting) -> None:
    setting.replace("rows", *setting.rng.choice([("rows: 0b101",), ("rows: 0x5",), ('"rows": 5',), ("rows:   5   # five",), ("rows: +5",), ("? rows\n: 5",)]))  # fmt: skip


def recursion(setting: Setting) -> None:
    odd = setting.rng.choice(["names: &a [*a]", "names: &a {b: *a}", "names: ${clean.names}", "names: ${.names}", "names: ${clean.share}"])  # fmt: skip
    setting.replace("names", odd)
    setting.refused += ["names", "clean", "mine", "recurs"]


def laughs(setting: Setting) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)
    ]
    setting.text = OPTION + "\n".join(lines) + "\n"
    setting.refused += ["a0", "clean", "mine"]


def deep(setting: Setting) -> None:
    setting.replace("names", "names: " + "[" * 3000 + "]" * 3000)
    setting.refused += ["mine", "clean", "names", "deep"]


# Options that are wrong


def target_wrong(setting: Setting) -> None:
    target = setting.rng.choice(["mine.frist_rows", "mien.first_rows", "mine", "first_rows", "", "mine.number", "os.system", "mine.first_rows.x", "..", "mine..first_rows", "5", "[a]", "null", "harness.strategies.clean.confidnt", "builtins.eval", "__main__.main"])  # fmt: skip
    setting.replace("_target_", f"_target_: {target}")
    setting.refused += ["clean", "target", "mine"]
    setting.lines = 4


def no_target(setting: Setting) -> None:
    setting.replace("_target_")
    setting.refused += ["clean"]


def not_partial(setting: Setting) -> None:
    setting.replace("_partial_", *setting.rng.choice([(), ("_partial_: false",), ("_partial_: maybe",), ("_partial_: 3",), ("_partial_: null",)]))  # fmt: skip
    setting.refused += ["partial", "clean"]


def parameter_misspelt(setting: Setting) -> None:
    name = setting.rng.choice(["rows", "share", "names"])
    setting.replace(name, f"{name}s_: 5")
    setting.refused += [name]
    setting.lines = 4


def parameter_missing(setting: Setting) -> None:
    name = setting.rng.choice(["rows", "share", "names"])
    setting.replace(name)
    setting.refused += [name]
    setting.lines = 3


def parameter_too_many(setting: Setting) -> None:
    setting.text += setting.rng.choice(["extra: 1\n", "5: 6\n", "null: 1\n", "true: 1\n", "'': 1\n", "1.5: 2\n", "'a b': 1\n", "_args_: [1]\n", "_recursive_: 5\n", "_convert_: x\n"])  # fmt: skip
    setting.refused += ["clean", "extra", "parameter", "mine"]
    setting.lines = 3


def wrong_type(setting: Setting) -> None:
    name, value = setting.rng.choice([("rows", "five"), ("rows", "5.5"), ("rows", "[5]"), ("rows", "null"), ("rows", "true"), ("rows", "{a: 1}"), ("rows", "2020-01-01"), ("rows", "''"), ("share", "half"), ("share", "[0.5]"), ("share", "null"), ("names", "a"), ("names", "5"), ("names", "{a: b}"), ("names", "null"), ("rows", "5e3x"), ("rows", "'5'"), ("rows", "1_0x"), ("rows", "???")])  # fmt: skip
    setting.replace(name, f"{name}: {value}")
    setting.refused += [name]
    setting.lines = 3


def interpolation(setting: Setting) -> None:
    value = setting.rng.choice(["${nowhere}", "${nowhere.x}", "${oc.env:NOT_SET_ANYWHERE}", "${mine:5}", "${", "${rows", "${..share.x}", "${oc.decode:'['}", "${task}", "${hydra:runtime.cwd}"])  # fmt: skip
    setting.replace("rows", f"rows: {value}" if "${" in value and "}" in value else f"rows: '{value}'")
    setting.refused += ["rows", "nowhere", "clean", "mine", "NOT_SET", "$"]
    setting.lines = 2


def sound_interpolation(setting: Setting) -> None:
    setting.replace("rows", setting.rng.choice(["rows: ${.five}", "rows: ${clean.five}"]))
    setting.text += "five: 5\n"
    setting.refused += ["five"]
    setting.lines = 2


def absurd(setting: Setting) -> None:
    name, value = setting.rng.choice([("share", "1.5"), ("share", "-1"), ("share", "1e308"), ("share", ".nan"), ("share", ".inf"), ("rows", "100000"), ("rows", "9223372036854775808"), ("rows", "1" * 40)])  # fmt: skip
    setting.replace(name, f"{name}: {value}")
    setting.may = True


def declaration_wrong(setting: Setting) -> None:
    line = setting.rng.choice(["fits: image", "fits: [picture]", "fits: 5", "fits: []", "fits: {image: 1}", "needs: [votez]", "needs: probe", "reference_kind: maybe", "family: 7", "family: sorcery", "fits: [[image]]", "needs: {a: 1}"])  # fmt: skip
    setting.replace("fits", *([line] if line.startswith("fits") else ["fits: [image, text, table]", line]))
    setting.refused += ["fits", "needs", "reference_kind", "family", "image"]
    setting.lines = 3


def fits_something_else(setting: Setting) -> None:
    setting.replace("fits", "fits: [image]")
    setting.refused += ["image"]


def defaults_wrong(setting: Setting) -> None:
    setting.text = setting.rng.choice(["defaults:\n  - nowhere\n", "defaults: nowhere\n", "defaults:\n  - /clean@x: nowhere\n", "defaults:\n  - /model: lenet\n  - _self_\n  - _self_\n", "defaults:\n  - mine\n", "defaults: 5\n", "defaults: [5]\n"]) + OPTION  # fmt: skip
    setting.refused += ["clean", "default", "mine", "nowhere", "model"]
    setting.lines = 3


# Words that are wrong


def word_wrong(setting: Setting) -> None:
    setting.words += [setting.rng.choice(["claen=mine", "clean=mien", "clean.rosw=3", "task.lable=x", "seed=abc", "seed=-1", "seed=1.5", "seed=1e99", "seed=9223372036854775808", "seed=null", "seed=", "threads=0", "threads=x", "store=null", "store=''", "study=../up", "study=''", "study=a/b", "retry=maybe", "rerun=3", "protocol=quick", "protocol.metric=acuracy", "protocol.lr=fast", "protocol.steps=-1", "protocol.steps=0", "protocol.epochs=0", "protocol.batch_size=0", "protocol.folds=1", "protocol.folds=0", "protocol.lr=-1", "protocol.lr=nan", "protocol.selection=lsat", "protocol.optimiser=sdg", "foo=1", "+foo=1", "experiments=nowhere", "experiment=x", "device=gpu9", "salt=inti:a", "model=lenet", "augment=flip", "augment=cutmx", "weak=majority_vote", "clean=a,b", "clean=[mine]", "clean=null", "clean={a: 1}", "clean=mine,", "=3", "a=[", "a={", "a='", 'a="', "~task", "~seed=5", "clean@x=mine", "hydra.launcher=x", "hydra/launcher=nowhere", "--foo", "--config-name=x", "--config-dir=nowhere", "task=nowhere", "task=", "baseline.model=lenet", "baseline.modle.C=3", "probe=lenet", "task.path=[a]", "task.path={a: 1}", "task.n_train=abc", "task.n_train=-5", "task.valid_fraction=2", "task.split_seed=x", "task.classes=5", "task.votes={a: 1}", "clean.rows=five", "clean.rows=[1]", "clean.names=a", "arms=[clean=mine]", "seeds=[1]x", "design=one", "precision={half_width: 1, max_seeds: 3}", "cross=[[clean=mine]]", "+clean.extra=1", "++clean.rows.x=1", "clean.rows=${nowhere}", "clean.rows=${", "track=nowhere", "cache=null", "task.noise=lots"])]  # fmt: skip
    setting.refused += [word for word in re_words(setting.words[-1]) if word] + ["arms", "study", "seed", "clean", "-m"]
    setting.lines = 3


def re_words(word: str) -> list[str]:
    """Returns the parts of a word that an error may name."""
    name, _, value = word.lstrip("+~-").partition("=")
    return [word, name, name.split("@")[0], name.rpartition(".")[2], value.strip("'\"[]{}")]


def harmless_word(setting: Setting) -> None:
    setting.words += [setting.rng.choice(["clean.rows=5", "clean.rows=05"[:-2] + "5", "'clean.rows=5'"[1:-1], "++clean.rows=5", "clean.names=[a,b]", "clean.names=['a b','c=d']", "seed=0", "threads=1", "+clean.fits=[table]"[:0] or "retry=true", "device=cpu", "clean.share=1", "clean.share=0.5"])]  # fmt: skip


def own_config_file(setting: Setting) -> None:
    """It is not read, which the command says."""
    setting.files["conf/config.yaml"] = "seed: [\n"


FAULTS = (
    Fault(broken_yaml, "rows"), Fault(key_twice, "rows"), Fault(harmless_form, "rows"), Fault(recursion, "names"), Fault(deep, "names"),
    Fault(target_wrong, "target"), Fault(no_target, "target"), Fault(not_partial, "partial"), Fault(parameter_misspelt, "parameter"),
    Fault(parameter_missing, "parameter"), Fault(parameter_too_many, "more"), Fault(wrong_type, "type"), Fault(wrong_type, "type"),
    Fault(interpolation, "rows"), Fault(sound_interpolation, "rows"), Fault(absurd, ALONE), Fault(declaration_wrong, "fits"),
    Fault(fits_something_else, "fits"), Fault(defaults_wrong, ALONE), Fault(word_wrong, ALONE), Fault(word_wrong, ALONE), Fault(word_wrong, ALONE), Fault(word_wrong, ALONE), Fault(word_wrong, ALONE), Fault(word_wrong, ALONE),
    Fault(harmless_word, "word"), Fault(own_config_file, "file"), Fault(other_encoding, "bytes"), Fault(harmless_bytes, "bytes"),
    Fault(no_mapping, ALONE), Fault(laughs, ALONE),
)  # fmt: skip


def case(seed: int) -> Case:
    """Returns the malformed config of a seed."""
    rng = random.Random(f"config {seed}")
    setting = Setting(rng)
    faults = chosen(rng, FAULTS, 2)
    for fault in faults:
        fault.apply(setting)
    content = setting.text.encode()
    for change in setting.raw:
        content = change(content)

    def write(folder: Path) -> None:
        (folder / "conf" / "clean").mkdir(parents=True)
        (folder / "conf" / "clean" / "mine.yaml").write_bytes(content)
        (folder / "mine.py").write_text(MODULE)
        (folder / "table.csv").write_text(TABLE)
        for name, text in setting.files.items():
            (folder / name).write_text(text)

    said = tuple(fault.name if fault.apply is not word_wrong else setting.words[-1] for fault in faults)
    return Case(
        "config", seed, said, write, (*WORDS, *setting.words), tuple(setting.refused),
        lambda ran: wrong(ran, setting), setting.may, setting.lines,
    )  # fmt: skip


def wrong(ran: Ran, setting: Setting) -> str:
    """Returns what is wrong with a trial that should have dropped five rows."""
    if setting.may:
        return ""
    return "" if "accuracy" in ran.out and "delta" in ran.out else f"no delta: {ran.out}"
