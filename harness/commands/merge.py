"""Runs `harness merge`: joins the results of two machines that shared no folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.checks import one_of
from harness.commands.arguments import parse
from harness.commands.terminal import say
from harness.errors import BadInput
from harness.notices import notice
from harness.storage.merging import Merge, apply_merge, compare_stores
from harness.storage.store import Store

_USAGE = "harness merge FOLDER OTHER [keep=first|second]"


def command(words: list[str]) -> int:
    """Runs `harness merge FOLDER OTHER`: adds to FOLDER the records that only OTHER has; OTHER stays as it is.

    Both are folders of results, or both are the folder of one study in it. Nothing is written before everything is
    compared. If a trial has a record in both and the two differ in more than cost and provenance, each such trial is
    named and nothing is written, unless `keep=first` or `keep=second` says whose record stays; the other one is kept
    in `trials/old`. Tables and figures are not joined: `harness report` writes them from the records.
    """
    names, said = parse(words, ("keep",))
    if len(names) != 2:
        raise BadInput(f"name two folders of results, or of one study: {_USAGE}")
    if "keep" in said:
        one_of("keep", said["keep"], ("first", "second"))
    first, second = (Path(name).expanduser() for name in names)
    with notice("comparing the records"):
        pairs = _pairs(first, second)
        merges = {name: compare_stores(*stores) for name, stores in pairs.items()}
    _refuse_conflicts(merges, said.get("keep"))
    for name, merge in merges.items():
        for line in merge.notes:
            say(f"  {line}")
        apply_merge(merge, *pairs[name], said.get("keep", "first"))
        print(f"{name}: {_summary(merge, pairs[name][0])}")
    print(f"tables and figures: harness report {' | '.join(merges)}")
    return 0


def _refuse_conflicts(merges: Mapping[str, Merge], keep: str | None) -> None:
    """Raises BadInput that names every conflict, unless the user has said whose record stays."""
    lines = [f"{name}: {line}" for name, merge in merges.items() for line in merge.conflicts]
    if lines and keep is None:
        raise BadInput("\n".join([*lines, "nothing was written; set keep=first or keep=second"]))
    for line in lines:
        say(f"  {line}; that of the {keep} store stays")


def _pairs(first: Path, second: Path) -> dict[str, tuple[Store, Store]]:
    """Returns the stores to join, by the name of their study; BadInput if there are none."""
    if first.resolve() == second.resolve():
        raise BadInput(f"{first} and {second} are the same folder")
    own, other = _studies(first), _studies(second)
    if "" in own or "" in other:
        if own != other:
            single, group = (first, second) if "" in own else (second, first)
            raise BadInput(f"{single} is the folder of one study and {group} a folder of results: name two of a kind")
        return {first.resolve().name: (Store(first), Store(second))}
    return {name: (Store(first / name), Store(second / name)) for name in sorted(other)}


def _studies(folder: Path) -> set[str]:
    """Returns the names of the studies in a folder of results, or "" for the folder of a study itself."""
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}: {_USAGE}")
    if (folder / "trials").is_dir():
        return {""}
    found = {path.parent.name for path in sorted(folder.glob("*/trials"))}
    if not found:
        raise BadInput(f"{folder} holds no records: a folder of results has one folder for each study")
    return found


def _summary(merge: Merge, store: Store) -> str:
    """Returns in words what was joined, and how many trials of the plan have a record now."""
    added = sum(name.startswith("trials/") for name in merge.copies)
    planned = {row["key"] for row in (store.plan() or {"trials": []})["trials"]}
    done = sum(store.read(key) is not None for key in planned)
    whole = f"; {done} of {len(planned)} planned trials are finished" if planned else ""
    return f"{added} records added, {merge.shared} trials are in both{whole}"
