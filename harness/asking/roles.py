"""Guesses from names and values which role each column of a data set plays; pure functions.

A guess must be hard to get wrong. If two columns fit a role equally well, the data are refused and both are named; each
guess is printed with the option that corrects it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from harness.checks import join_names, nearest
from harness.data import Modality
from harness.errors import BadInput

CellKind = Literal["image", "lists", "number", "words", "empty"]
LABELS = ("label", "labels", "target", "class", "classes", "y", "class_label", "target_label", "target_class")
"""Names that say outright which column is the label."""
LIKELY_LABELS = (
    "outcome", "category", "sentiment", "diagnosis", "species", "survived", "churn", "churned", "spam", "fraud",
    "default", "defaulted", "stars", "verdict", "income", "quality", "response", "attrition", "topic", "intent",
)  # fmt: skip
"""Names that a label often has, and other columns seldom."""
GOLD = ("gold", "gold_label", "true_label", "truth", "ground_truth", "true_class", "label_gold", "label_true")
LIKELY_GOLD = (
    "consensus", "verified", "verified_label", "expert", "expert_label", "clean", "clean_label", "adjudicated",
)  # fmt: skip
TEXTS = (
    "text", "review", "comment", "sentence", "tweet", "message", "content", "body", "question", "document", "abstract",
    "post", "email", "sms", "article", "headline", "utterance", "review_text", "reviews",
)  # fmt: skip
GROUPS = (
    "group", "patient", "subject", "user", "session", "author", "speaker", "household", "family", "participant",
    "client", "customer", "student", "person", "machine", "device", "video", "document",
)  # fmt: skip
_VOTER = re.compile(
    r"(vote|lf|rule|annotator|rater|worker|coder|labell?er|judge|crowd|curator|voter|human)s?(_?[a-z0-9]{1,12})?"
)
_BALLOTS = ("votes", "weak_labels", "annotations")
_NAMED_KEYS = ("id", "index", "key", "uuid", "guid", "row", "number", "filename", "file", "row_id")
MOST_CLASSES, MOST_NAMED_CLASSES, MOST_NUMBERS = 50, 1000, 20
"""The most levels of a label: of words by its values alone, of words by its name, of numbers by its values alone."""
FEWEST_PER_CLASS = 5
"""Rows per class, on average, from which a column's levels can be classes."""
_LONG_WORDS, _TEXT_WORDS, _ALIKE = 8.0, 4.0, 0.995
"""Words per cell from which a column is surely, or possibly, one of texts; agreement from which two columns are one."""


@dataclass(frozen=True, eq=False)
class Column:
    """Holds a column of the training part: its kind, and its cells as text (None where nothing stands).

    `elsewhere` are the cells of the other parts that have it; `unique` is whether no part names a value twice.
    """

    name: str
    kind: CellKind
    cells: np.ndarray
    whole: bool = False
    elsewhere: tuple[str, ...] = ()
    unique: bool = False

    @property
    def levels(self) -> list[str]:
        """Returns the different values, sorted."""
        return sorted(set(self.cells[self.filled].tolist()))

    @property
    def filled(self) -> np.ndarray:
        """Returns True for each cell in which something stands."""
        return np.array([cell is not None and bool(cell.strip()) for cell in self.cells], dtype=bool)

    @property
    def all_levels(self) -> list[str]:
        """Returns the different values in all parts, sorted."""
        return sorted({*self.levels, *self.elsewhere})

    @property
    def words(self) -> float:
        """Returns the mean number of words of a filled cell."""
        cells = self.cells[self.filled][:1000]
        return float(np.mean([len(cell.split()) for cell in cells])) if len(cells) else 0.0

    @property
    def plain(self) -> str:
        """Returns the name in lower case, its words joined by underscores: `PassengerId` is `passenger_id`."""
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name.strip())
        return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


@dataclass(frozen=True)
class Wishes:
    """Holds what the user said of columns: a name for each role, None where nothing was said; lists may be empty."""

    label: str | None = None
    id: str | None = None
    group: str | None = None
    gold: str | None = None
    text: str | None = None
    image: str | None = None
    votes: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    modality: str | None = None

    def named(self) -> Iterator[tuple[str, str]]:
        """Yields each option and the column that it names."""
        for option in ("label", "id", "group", "gold", "text", "image"):
            value = getattr(self, option)
            if value not in (None, "none"):
                yield option, value
        yield from (("votes", name) for name in self.votes or () if name != "none")
        yield from (("ignore", name) for name in self.ignore)


@dataclass(frozen=True)
class Roles:
    """Holds the role of each column; `unused` gives for each column that plays none the reason.

    `features` are the columns of a table to learn from; `input` is the column of texts or images. `notes` are sentences
    on what was guessed, each with its correction.
    """

    modality: Modality
    label: str
    gold: str | None = None
    id: str | None = None
    group: str | None = None
    votes: tuple[str, ...] = ()
    input: str | None = None
    features: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def guess_roles(columns: Sequence[Column], said: Wishes, command: str) -> Roles:
    """Returns the role of each column; BadInput where the label cannot be told, with the `command` to write instead."""
    known = {column.name: column for column in columns}
    for option, name in said.named():
        if name not in known:
            raise BadInput(f"{option}={name}: there is no such column{nearest(name, known)} (it has: {_names(known)})")
    free = [column for column in columns if column.name not in said.ignore]
    unused = {name: f"left out, as you said (ignore={name})" for name in said.ignore}
    source = _input(free, said)
    label, why = _label([one for one in free if one is not source], said, command)
    rest = [one for one in free if one not in (source, label)]
    gold = _gold(rest, label, said)
    votes = _votes([one for one in rest if one is not gold], label, said)
    rest = [one for one in rest if one is not gold and one not in votes]
    key = _key(rest, said)
    group = _group([one for one in rest if one is not key], said)
    rest = [one for one in rest if one not in (key, group)]
    modality: Modality = "table" if source is None else "image" if source.kind == "image" else "text"
    if source is None:
        unused |= dict(_useless(rest, label))
        features = tuple(one.name for one in rest if one.name not in unused)
        if not features:
            raise BadInput(_no_features(unused))
    else:
        features = ()
        unused |= {one.name: f"not read: the {modality} in '{source.name}' is all that is learnt from" for one in rest}
    found = Roles(
        modality, label.name, _name(gold), _name(key), _name(group), tuple(one.name for one in votes), _name(source),
        features, unused,
    )  # fmt: skip
    notes = _notes(found, why, known)
    return Roles(**{**found.__dict__, "notes": tuple(notes)})


def _name(column: Column | None) -> str | None:
    return None if column is None else column.name


def _names(known: Iterable[str]) -> str:
    return join_names(known)


def _no_features(unused: Mapping[str, str]) -> str:
    told = "; ".join(f"'{name}' is {why}" for name, why in unused.items())
    return f"no column is left to learn from: {told}. Name a column of texts with text=…, or correct a role"


# The input


def _input(columns: Sequence[Column], said: Wishes) -> Column | None:
    """Returns the column of images or texts to learn from; None for a table."""
    if said.modality == "table" or said.text == "none":
        return None
    for wished in (said.text, said.image):
        if wished is not None:
            return next(column for column in columns if column.name == wished)
    taken = {name for _, name in said.named()}
    mine = [one for one in columns if one.name not in taken]
    pictures = [column for column in mine if column.kind == "image"]
    if pictures and said.modality in (None, "image"):
        if len(pictures) > 1:
            raise BadInput(f"several columns hold images ({_names(one.name for one in pictures)}): say image=NAME")
        return pictures[0]
    texts = [column for column in mine if _may_be_text(column)]
    sure = [one for one in texts if one.plain in TEXTS or one.words >= _LONG_WORDS] or _alone(texts, mine, said)
    if not sure:
        return None
    hinted = [one for one in sure if one.plain in TEXTS]
    return max(hinted or sure, key=lambda one: one.words)


def _may_be_text(column: Column) -> bool:
    """Returns whether a column of words holds sentences: mostly different, several words each, or called so."""
    count = int(column.filled.sum())
    if column.kind != "words" or not count:
        return False
    different = len(column.levels) > 0.5 * count
    return different and (column.words >= _TEXT_WORDS or (column.plain in TEXTS and column.words >= 1.5))


def _alone(texts: Sequence[Column], columns: Sequence[Column], said: Wishes) -> list[Column]:
    """Returns the columns of texts if the other columns are a label and identifiers alone, or if the user asks."""
    others = [one for one in columns if one not in texts and not _is_key(one)]
    return list(texts) if said.modality == "text" or len(others) <= 1 else []


# The label


def _label(columns: Sequence[Column], said: Wishes, command: str) -> tuple[Column, str]:
    """Returns the label and why it was taken; BadInput if none can be, or if several can with equal right."""
    if said.label is not None:
        column = next((one for one in columns if one.name == said.label), None)
        if column is None:
            raise BadInput(f"label={said.label}: that column is named in another role as well")
        fault = _no_label(column, MOST_NAMED_CLASSES)
        if fault:
            raise BadInput(f"label={column.name}: {fault}")
        return column, "as you said"
    taken = {name for option, name in said.named()}
    mine = [one for one in columns if one.name not in taken]
    for names, why in ((LABELS, "by its name"), (LIKELY_LABELS, "by its name")):
        called = [one for one in mine if _is_called(one, names)]
        given = [one for one in called if not _is_called(one, (*GOLD, *LIKELY_GOLD))]
        hinted = given or [one for one in called if one.kind != "empty"]  # gold may be known for test rows alone
        if hinted:
            return _only(hinted, why, command, MOST_NAMED_CLASSES), why
    usual = [one for one in mine if not (_is_voter(one) or _is_called(one, (*GOLD, *LIKELY_GOLD)) or _is_key(one))]
    possible = [one for one in usual if not _no_label(one, MOST_CLASSES if one.kind == "words" else MOST_NUMBERS)]
    if not possible:
        told = join_names(f"{one.name} ({len(one.levels)} values)" for one in mine)
        asked = f"say which column holds the classes: {command} label=NAME"
        raise BadInput(f"no column looks like a label, with few values and many rows of each ({told}); {asked}")
    return _only(possible, "", command, MOST_NAMED_CLASSES), "the only column with few values and many rows of each"


def _is_called(column: Column, names: Sequence[str]) -> bool:
    plain = column.plain
    return plain in names or plain.removeprefix("is_") in names or (names is LABELS and plain.endswith("_label"))


def _only(possible: Sequence[Column], why: str, command: str, most: int) -> Column:
    """Returns the only possible label; BadInput for several of equal right, or for one that holds no classes."""
    if len(possible) > 1:
        told = join_names(f"{one.name} ({_few_levels(one)})" for one in possible)
        raise BadInput(f"several columns could be the label: {told}; say which: {command} label={possible[0].name}")
    fault = _no_label(possible[0], most)
    if fault:
        raise BadInput(
            f"column '{possible[0].name}' is called a label, but {fault}; or say which other column holds the classes: "
            f"{command} label=NAME"
        )
    return possible[0]


def _few_levels(column: Column) -> str:
    levels = column.levels
    return ", ".join(levels) if len(levels) <= 3 else f"{len(levels)} values"


def _no_label(column: Column, most: int) -> str:
    """Returns why a column cannot hold the classes, "" if it can."""
    levels, count = len(column.levels), int(column.filled.sum())
    if column.kind not in ("number", "words"):
        return {"image": "it holds images", "lists": "it holds lists"}.get(column.kind, "it is empty")
    if levels < 2:
        return f"it has {levels} value{'' if levels == 1 else 's'}"
    if column.kind == "number" and levels > MOST_NUMBERS and (not column.whole or levels > 2 * MOST_CLASSES):
        return f"it has {levels} different numbers in {count} rows, which are amounts: cut them into classes first"
    if levels > most or levels * FEWEST_PER_CLASS > count:
        few = f"{levels} different values in {count} rows"
        return f"it has {few}: a class needs {FEWEST_PER_CLASS} rows or more"
    if column.kind == "number" and not column.whole:
        return "it holds numbers with a fraction, which are amounts"
    return ""


# Gold, votes, identifiers, groups


def _gold(columns: Sequence[Column], label: Column, said: Wishes) -> Column | None:
    """Returns the column of true labels: named so, with values that are classes."""
    if said.gold == "none":
        return None
    if said.gold is not None:
        return next((one for one in columns if one.name == said.gold), None)
    for names in (GOLD, LIKELY_GOLD):
        found = [one for one in columns if one.plain in names and _shares_classes(one, label)]
        if len(found) > 1:
            raise BadInput(f"several columns may hold true labels: {_names(one.name for one in found)}; say gold=NAME")
        if found:
            return found[0]
    return None


def _shares_classes(column: Column, label: Column) -> bool:
    """Returns whether at least two, and nearly all, of a column's values are classes of the label."""
    mine, classes = set(column.all_levels), set(label.all_levels)
    return len(mine & classes) >= 2 and len(mine - classes) <= 0.1 * len(mine)


def _is_voter(column: Column) -> bool:
    return bool(_VOTER.fullmatch(column.plain)) or column.plain in _BALLOTS


def _votes(columns: Sequence[Column], label: Column, said: Wishes) -> list[Column]:
    """Returns the columns of votes: one of lists called so, or two or more called like voters that name classes."""
    if said.votes is not None:
        return [one for name in said.votes for one in columns if one.name == name]
    lists = [one for one in columns if one.kind == "lists" and one.plain in _BALLOTS]
    if lists:
        return lists[:1]
    classes = {*label.levels, *map(str, range(-1, len(label.levels)))}
    named = [one for one in columns if _is_voter(one) and one.kind in ("number", "words")]
    voters = [one for one in named if {_bare(level) for level in one.levels} <= classes]
    return voters if len(voters) >= 2 else []


def _bare(level: str) -> str:
    return re.sub(r"^(-?\d+)\.0+$", r"\1", level.strip())


def _is_key(column: Column) -> bool:
    """Returns whether a column names rows: different everywhere, and words of few parts or called an identifier."""
    count = int(column.filled.sum())
    if not column.unique or count < len(column.cells) or column.kind not in ("number", "words"):
        return False
    called = column.plain in _NAMED_KEYS or column.plain.endswith(("_id", "_no", "_key", "_number"))
    return called if column.kind == "number" else (called or column.words < 3)


def _key(columns: Sequence[Column], said: Wishes) -> Column | None:
    """Returns the column that names the rows, which is never a feature."""
    if said.id == "none":
        return None
    if said.id is not None:
        return next((one for one in columns if one.name == said.id), None)
    found = [one for one in columns if _is_key(one) and (one.kind == "words" or one.whole)]
    called = [one for one in found if one.plain.endswith("id")]
    return next(iter([*called, *found]), None)


def _group(columns: Sequence[Column], said: Wishes) -> Column | None:
    """Returns the column of groups that must stay whole: called so, with several rows for most of many groups."""
    if said.group == "none":
        return None
    if said.group is not None:
        return next((one for one in columns if one.name == said.group), None)
    for one in columns:
        stem = one.plain.removesuffix("_id").removesuffix("_no")
        repeats = one.kind in ("number", "words") and 1.2 * len(one.levels) <= int(one.filled.sum())
        if stem in GROUPS and repeats and len(one.levels) >= 10 and (one.kind == "words" or one.whole):
            return one
    return None


# Features that are none


def _useless(columns: Sequence[Column], label: Column) -> Iterator[tuple[str, str]]:
    """Yields each column that is not used as a feature of a table, with the reason."""
    for one in columns:
        why = _why_useless(one, label)
        if why:
            yield one.name, why


def _why_useless(column: Column, label: Column) -> str:
    """Returns why a column is no feature, "" if it is one."""
    count, levels = int(column.filled.sum()), column.levels
    if column.kind == "empty":
        return "left out: it is empty"
    if column.kind in ("image", "lists"):
        return f"left out: it holds {'images' if column.kind == 'image' else 'lists'}"
    if column.whole and [_bare(cell or "") for cell in column.cells] in _counts_of(len(column.cells)):
        return "left out: it counts the rows"
    if _is_key(column):
        return "left out: it differs in every row, as an identifier does"
    if column.kind == "words" and count >= 20 and len(levels) > 0.5 * count:
        return f"left out: {len(levels)} different texts in {count} rows (text={column.name} learns from them)"
    if column.kind == "words" and len(levels) > MOST_NAMED_CLASSES:
        return f"left out: {len(levels)} categories are too many for a feature each"
    return _why_telling(column, label)


def _counts_of(rows: int) -> list[list[str]]:
    """Returns the numbers of that many rows, from 0 and from 1; none for few rows, which prove nothing."""
    return [[str(start + row) for row in range(rows)] for start in (0, 1)] if rows >= 10 else []


def _why_telling(column: Column, label: Column) -> str:
    """Returns why a column tells the label by itself: it is the label in other words, or another labelling."""
    both = column.filled & label.filled
    mine, classes = column.levels, label.levels
    if not both.any() or len(mine) > 2 * len(classes):
        return ""
    table = pd.crosstab(column.cells[both], label.cells[both])
    if len(mine) == len(classes) and table.max(axis=1).sum() >= _ALIKE * both.sum() and len(table) == len(classes):
        return f"left out: it is '{label.name}' in other words (each value goes with one class)"
    same = float(np.mean(column.cells[both] == label.cells[both]))
    if len(classes) >= 3 and _shares_classes(column, label) and same > 0.5:
        return (
            f"left out: it names the same classes as '{label.name}' and agrees in {100 * same:.0f} % of the rows, as "
            f"another label does (votes={column.name} or gold={column.name} says what it is)"
        )
    return ""


# Messages


def _notes(found: Roles, why: str, known: Mapping[str, Column]) -> Iterator[str]:
    """Yields a line for each role, with the option that corrects it."""
    label = known[found.label]
    named = join_names(label.levels)
    yield f"label: '{found.label}', {why}: {len(label.levels)} classes ({named}) [label=]"
    empty = int((~label.filled).sum())
    if empty:
        yield f"rows without a label: {empty}"
    if found.input:
        yield f"{found.modality}: column '{found.input}' [{found.modality}=]"
    else:
        yield f"table: {len(found.features)} columns to learn from: {join_names(found.features)} [ignore=]"
    yield f"true labels: column '{found.gold}' [gold=]" if found.gold else "true labels: none [gold=]"
    if found.votes:
        yield f"votes: {join_names(found.votes)} [votes=]"
    yield f"identifier: column '{found.id}' [id=]" if found.id else "identifier: none, rows are numbered [id=]"
    yield (
        f"groups: column '{found.group}', whose rows stay together [group=]" if found.group else "groups: none [group=]"
    )
    yield from (f"'{name}' {reason}" for name, reason in found.unused.items())
    alike = [name for name in found.features if _votes_perhaps(known[name], label)]
    if len(alike) > 1:
        told = "hold the label's own values and mostly agree with it: if they are votes, say"
        yield f"{join_names(alike)} {told} votes={','.join(alike)}"


def _votes_perhaps(column: Column, label: Column) -> bool:
    """Returns whether a feature has the label's own values, and is mostly equal to it."""
    both = column.filled & label.filled
    if not both.any() or not set(column.levels) <= {*label.levels, "-1"} or len(column.levels) < 2:
        return False
    return float(np.mean(column.cells[both] == label.cells[both])) > 0.6
