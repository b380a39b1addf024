"""Makes raw cells uniform: quantities become numbers without units, and each word gets one spelling.

What a column is, and how its cells are mended, is learnt from training rows only, then applied to the rows to predict.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.checks import within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.strategies import Tools
from harness.tables import Mend, columns_of, is_number_column, is_raw, mend_columns

QUANTITY = re.compile(
    r"[$€£]?\s*(?P<number>[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<unit>[^\d\s,][^\d]{0,24})?",
    re.IGNORECASE,
)
"""A number, with or without commas between thousands, and anything after it that is not a number."""


@dataclass(frozen=True)
class Quantity:
    """Holds a cell as a number with a unit, in lower case, without dots and spaces around it."""

    number: float
    unit: str


def units(
    train: TrainSet, tools: Tools, *, share: float, factors: Mapping[str, float], missing: Sequence[str]
) -> TrainSet:
    """Turns columns of quantities into numbers: "12.0 oz." is 12, "5%" is 0.05, "1,200 $" is 1200.

    A column holds quantities if at least that `share` of its cells are numbers with or without a unit; its other cells
    become missing. Cells equal to one of `missing`, in any case, are empty in every column.
    `factors` turn a number with that unit into the column's; other units are words beside the number. Where a column
    holds plain numbers too, a factor counts only if it brings the numbers that bear the unit nearer to them (the
    medians' ratio decides): "0.05" beside "0.05%" says that the sign means nothing there.
    BadInput if cells are numbers already.
    """
    within("clean.share", share, 0, 1)
    empty = {word.casefold() for word in missing}
    return mend_columns(_raw(train, "units"), {
        name: _quantities(cells, share, factors, empty) for name, cells in columns_of(train.x).items()
    })  # fmt: skip


def spellings(train: TrainSet, tools: Tools, *, edits: int, shortest: int, times: float) -> TrainSet:
    """Gives each word in a column of words its most frequent spelling.

    Cells that differ only in case, accents, spaces or punctuation are one word. So are two that one edit turns into
    each other (a letter more, less or other, or two neighbours changed; `edits` is 1, or 0 for none), if their first
    letters and all their digits are the same, they have `shortest` letters or more, and the right one is `times` as
    frequent: a slip is rare, and seldom at the start.
    BadInput if cells are numbers already.
    """
    within("clean.edits", edits, 0, 1)
    within("clean.times", times, 1, np.inf)
    return mend_columns(_raw(train, "spellings"), {
        name: _spelt(cells, edits, shortest, times)
        for name, cells in columns_of(train.x).items() if not is_number_column(cells)
    })  # fmt: skip


def _raw(train: TrainSet, who: str) -> TrainSet:
    if not is_raw(train.x):
        raise BadInput(f"clean={who} mends raw cells; these are numbers already: read the table with task=raw_table")
    return train


def read_quantity(cell: str) -> Quantity | None:
    """Returns the cell as a quantity; None if it is not one."""
    found = QUANTITY.fullmatch(cell.strip())
    if found is None or not any(letter.isdigit() for letter in found["number"]):
        return None
    return Quantity(float(found["number"].replace(",", "")), (found["unit"] or "").casefold().strip(" ."))


def _quantities(cells: np.ndarray, share: float, factors: Mapping[str, float], empty: set[str]) -> Mend:
    """Returns how one column's cells are mended."""
    told = [cell for cell in np.char.strip(cells).tolist() if cell and cell.casefold() not in empty]
    found = [quantity for quantity in map(read_quantity, told) if quantity is not None]
    if not found or len(found) < share * len(told):
        return lambda x: _mapped(x, lambda cell: "" if cell.strip().casefold() in empty else cell)
    true = {unit: factor for unit, factor in factors.items() if _counts(unit, factor, found)}

    def mend(cell: str) -> str:
        quantity = read_quantity(cell)
        return "" if quantity is None else f"{quantity.number * true.get(quantity.unit, 1):.12g}"

    return lambda x: _mapped(x, mend)


def _counts(unit: str, factor: float, found: Sequence[Quantity]) -> bool:
    """Returns whether the factor brings numbers with that unit nearer to plain ones, or one of both kinds is absent."""
    plain = [abs(quantity.number) for quantity in found if not quantity.unit and quantity.number]
    borne = [abs(quantity.number) for quantity in found if quantity.unit == unit and quantity.number]
    if not plain or not borne:
        return True
    ratio = np.median(borne) / np.median(plain)
    return bool(abs(np.log(ratio * factor)) < abs(np.log(ratio)))


def _mapped(cells: np.ndarray, mend: object) -> np.ndarray:
    return np.array([mend(cell) for cell in cells.tolist()], dtype=np.str_)  # type: ignore[operator]


def normalise_spelling(cell: str) -> str:
    """Returns a spelling without case, accents, spaces and punctuation, except signs that carry meaning.

    Those are the signs of numbers, shares and moneys, and what tells C from C++ and C#.
    """
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", cell) if not unicodedata.combining(letter))
    return " ".join(re.sub(r"(?![+#%<>=$€£]|-\d)[\W_]", " ", bare.casefold()).split())


def _spelt(cells: np.ndarray, edits: int, shortest: int, times: float) -> Mend:
    """Returns how one column's cells are spelt: by normalised spelling, then by the frequent word one edit away."""
    found, counts = np.unique(np.char.strip(cells), return_counts=True)
    best: dict[str, str] = {}
    total: dict[str, int] = {}
    for place in np.lexsort((found, -counts)):
        key = normalise_spelling(str(found[place]))
        best.setdefault(key, str(found[place]))
        total[key] = total.get(key, 0) + int(counts[place])
    near = _neighbours(total, shortest) if edits else {}

    def mend(cell: str) -> str:
        key = normalise_spelling(cell)
        if not key:
            return cell
        target = _right(key, total, near, times) if len(key) >= shortest else key
        return best.get(target, cell)

    return lambda x: _mapped(x, mend)


def _neighbours(words: Mapping[str, int], shortest: int) -> dict[str, list[str]]:
    """Returns the words by each form with one letter less: two words one edit apart share a form."""
    near: dict[str, list[str]] = {}
    for word in sorted(words):
        for form in _forms(word) if len(word) >= shortest else ():
            near.setdefault(form, []).append(word)
    return near


def _forms(word: str) -> set[str]:
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def _right(word: str, counts: Mapping[str, int], near: Mapping[str, Sequence[str]], times: float) -> str:
    """Returns the most frequent word one edit away that is `times` as frequent, the first in the alphabet at a tie."""
    least = times * max(1, counts.get(word, 0))
    beside = {other for form in _forms(word) for other in near.get(form, ())} - {word}
    right = [other for other in beside if counts[other] >= least and _one_edit(word, other)]
    return min(right, key=lambda other: (-counts[other], other), default=word)


def _one_edit(one: str, two: str) -> bool:
    """Returns whether one edit (a letter more, less or other, or two swapped) makes one the other; start and digits
    stay.
    """
    start = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    left, right = one[start:], two[start:]
    same = left[1:] == right or left == right[1:] or left[1:] == right[1:]
    same |= left[2:] == right[2:] and left[:2] == right[:2][::-1]
    return same and start > 0 and re.sub(r"\D", "", one) == re.sub(r"\D", "", two)
