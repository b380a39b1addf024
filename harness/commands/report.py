"""Runs `harness report`: rebuilds the tables, figures and page of a study from its records."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.study import gather
from harness.checks import choices
from harness.commands.arguments import parse
from harness.errors import BadInput
from harness.report.write import rebuild, write_index
from harness.storage.store import Store


def command(words: list[str]) -> int:
    """Runs `harness report NAME [store=results] [task.path=FOLDER] [adjust=holm] [--paper DIR]`.

    Writes tables, figures and page from the records only. With the task's folder the page shows rows; `adjust` is holm
    or benjamini_yekutieli; `--paper` fills a folder for a paper.
    """
    names, said = parse(words, ("store", "paper", "task.path", "adjust"))
    store = Path(said.get("store", "results")).expanduser()
    if len(names) != 1:
        raise BadInput("name a study: harness report NAME [store=FOLDER] [task.path=FOLDER] [--paper DIR]")
    folder = store / names[0]
    if not folder.is_dir():
        known = [path.name for path in store.glob("*/") if (path / "trials").is_dir()]
        raise BadInput(f"no records of a study '{names[0]}' in {store}{choices(names[0], known)}")
    adjust = said.get("adjust", "holm")
    paths = [*rebuild(folder, said.get("task.path"), adjust), write_index(store)]
    if "paper" in said:
        from harness.report.paper import write_paper  # most reports do not need it

        paths += write_paper(gather(Store(folder), adjust), Path(said["paper"]).expanduser(), paths)
    print("\n".join(map(str, paths)))
    return 0
