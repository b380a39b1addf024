"""Asks from Python what `harness ask` asks: is it the model or the data, for a file, a folder, or rows in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.api.results import StudyResults, load_study
from harness.api.rows import write_rows
from harness.api.runs import SHOWN, cache_of, check_ended, run_command
from harness.commands.ask import read_request
from harness.commands.overrides import load_config, option_loader
from harness.commands.terminal import say
from harness.storage.places import expand_home

_IN_MEMORY = "my_data"


def ask_from_python(
    data: Any, *overrides: str, label: str | None = None, text: str | None = None, image: str | None = None,
    id: str | None = None, group: str | None = None, gold: str | Path | None = None,
    votes: str | Sequence[str] | None = None, ignore: str | Sequence[str] | None = None, modality: str | None = None,
    test: str | None = None, budget: str | None = None, seeds: int | None = None, name: str | None = None,
) -> StudyResults:  # fmt: skip
    """Runs the study that `harness ask` proposes for the data, and returns its results; `harness.ask` is this function.

    `data` is the path of a file or a folder, or rows in memory: a data frame, a `datasets.Dataset`, a pair of arrays
    (X, y), or a mapping of parts (train, valid, test) to these. `label`, `text`, `image`, `id`, `group`, `gold`,
    `votes` and `ignore` name columns; what is not said is guessed, and printed with all that the command says. `gold`
    may be a file of verified test labels. `budget` is a time such as "10min"; `name` is the study's.
    `overrides` are words as on the command line. BadInput for data that cannot be asked about, before anything runs;
    TrialFailed if the study could not finish.

    >>> study = harness.ask(frame, "track=none", label="outcome", budget="20min", name="outcome")  # doctest: +SKIP
    >>> study.verdict.word  # doctest: +SKIP
    'data'
    """
    words = [str(word) for word in overrides]
    path, name = _place(data, words, name)
    said = {
        "label": label, "text": text, "image": image, "id": id, "group": group, "gold": gold, "votes": votes,
        "ignore": ignore, "modality": modality, "test": test, "budget": budget, "seeds": seeds, "name": name,
    }  # fmt: skip
    asked = ["ask", path, *(f"{key}={_word(value)}" for key, value in said.items() if value is not None), *words]
    request = read_request(asked)
    check_ended(*run_command(asked, (), SHOWN))
    store = expand_home(load_config(list(request.on_line), option_loader()).store, "store")
    return load_study(store / request.name, gold=request.verified)


def _place(data: Any, words: Sequence[str], name: str | None) -> tuple[str, str | None]:
    """Returns the path of the data and the study's name; rows in memory are written into the cache."""
    if isinstance(data, str | Path):
        return str(data), name
    written = write_rows(data, None, cache_of({}, words))
    say(written.line)
    return str(written.path), name or _IN_MEMORY


def _word(value: str | Path | int | Sequence[str]) -> str:
    return str(value) if isinstance(value, str | Path | int) else ",".join(value)
