"""Labels rows by a crowd's sparse answers, one line `row, worker, label` per answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int8

from harness.data import ABSTAIN, TrainSet
from harness.errors import BadInput
from harness.storage import reader
from harness.storage.cache import Cache
from harness.storage.places import locate
from harness.strategies import Strategy, Tools
from harness.strategies.weak.label_names import class_indices
from harness.tasks.columns import open_reading

ANSWER_COLUMNS = ("row", "worker", "label")


def crowd(train: TrainSet, tools: Tools, *, path: str, then: Strategy) -> TrainSet:
    """Labels rows by the vote model `then` on the answers in a file; the set keeps its own votes.

    Answers to rows outside the training set are left out: those rows are in another part, or were dropped. The answers
    used are entered in the ledger as votes, and the record says how labels are read that are names of classes and
    numbers of others. BadInput if the file has no answer to any row.
    """
    _, votes = crowd_votes(train, path, tools.classes, tools.cache)
    tools.count("votes", int((votes != ABSTAIN).sum()))
    reading = open_reading(_answers(path, tools.classes)["label"], tools.classes)
    if reading:
        tools.note("reading", f"answers of {Path(path).name}: {reading}")
    return replace(then(replace(train, votes=votes), tools), votes=train.votes)


def crowd_votes(
    train: TrainSet, path: str, classes: Sequence[str], cache: Cache
) -> tuple[list[str], Int8[np.ndarray, "n m"]]:
    """Returns the workers' names, sorted, and their votes on every row.

    An empty label abstains, and so does -1 unless a class is called so. Every label of the file must be a class, also
    of rows outside the set.
    """
    answers = _answers(path, classes)
    places = {str(name): place for place, name in enumerate(train.ids.tolist())}
    used = answers[answers["row"].isin(list(places))]
    if used.empty:
        some = f"'{answers['row'].iloc[0]}'" if len(answers) else "none"
        raise BadInput(f"{path}: no answer belongs to a row of the training set; it names {some} …, the set's rows are "
                       f"'{train.ids[0]}' …")  # fmt: skip
    places_of = reader.row_places(locate(path), int(answers.index.max()) + 1)
    written = class_indices(answers["label"].tolist(), classes, [f"{path}, {places_of[row]}" for row in answers.index])
    said, labels = [f"{path}, {places_of[row]}" for row in used.index], written[answers["row"].isin(list(places))]
    names, columns = np.unique(used["worker"].to_numpy(dtype=np.str_), return_inverse=True)
    votes = np.full((len(train), len(names)), ABSTAIN, dtype=np.int8)
    rows = np.array([places[name] for name in used["row"]])
    votes[rows, columns] = labels
    differing = np.flatnonzero(votes[rows, columns] != labels)
    if len(differing):
        one = used.iloc[differing[0]]
        raise BadInput(f"{said[differing[0]]}: worker '{one['worker']}' gave row '{one['row']}' two different labels")
    return names.tolist(), votes


def check_answers(train: TrainSet, tools: Tools, *, path: str) -> None:
    """Raises BadInput if `crowd` could not use the file."""
    crowd_votes(train, path, tools.classes, tools.cache)


def _answers(path: str, classes: Sequence[str]) -> pd.DataFrame:
    """Returns the file's answers that are not empty, as text; the index counts the rows.

    -1 is no answer, unless it is a class.
    """
    file = locate(path)
    if not file.is_file():
        raise BadInput(
            f"there is no file {path}: weak.path names a table of answers with columns {', '.join(ANSWER_COLUMNS)}"
        )
    table = reader.read_frame(file)
    lacking = [name for name in ANSWER_COLUMNS if name not in table.columns]
    if lacking:
        raise BadInput(f"{path} has no column '{lacking[0]}': answers need the columns {', '.join(ANSWER_COLUMNS)}")
    cells = table[list(ANSWER_COLUMNS)].apply(lambda column: reader.as_text(column).str.strip())
    empty = [""] if "-1" in classes else ["", "-1", "-1.0"]
    return pd.DataFrame(cells[~cells["label"].isin(empty)])
