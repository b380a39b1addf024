"""Runs `harness curve`: prints and writes a learning curve over the number of training rows."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.learning_curve import collect_curve
from harness.analysis.study import gather
from harness.commands.arguments import parse
from harness.commands.terminal import tell_damaged
from harness.errors import BadInput
from harness.notices import notice
from harness.report.learning_curve import curve_files
from harness.storage.files import write_atomic
from harness.storage.store import Store

_USAGE = "harness curve STUDY STUDY… [out=FOLDER] [store=FOLDER]"


def command(words: list[str]) -> int:
    """Runs `harness curve STUDY STUDY…`: joins studies that differ in task.n_train alone; writes the curve to `out`.

    A study of each size is run as `harness -m experiments=mine study=mine_200 task.n_train=200`; with
    `protocol.steps=N` the optimiser steps of networks are held fixed over the sizes, without it the epochs.
    """
    names, said = parse(words, ("out", "store"))
    if len(names) < 2:
        raise BadInput(f"name two studies or more, one for each task.n_train: {_USAGE}")
    folder = Path(said.get("store", "results")).expanduser()
    stores = [Store(folder / name) for name in dict.fromkeys(names)]
    for store in stores:
        tell_damaged(store)
    with notice("reading the records and drawing the curve"):
        files = curve_files(collect_curve([gather(store) for store in stores]))
    out = Path(said.get("out", "learning_curve")).expanduser()
    for name, content in files.items():
        write_atomic(out / name, content)
    print(files["learning_curve.md"].decode())
    print("\n".join(str(out / name) for name in files))
    return 0
