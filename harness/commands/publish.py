"""Runs `harness publish`: sends what W&B lacks of a study, from its records alone."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import track

from harness.analysis.records import Records, join
from harness.checks import choices
from harness.commands.arguments import parse
from harness.commands.overrides import load_checked_config, option_loader
from harness.commands.terminal import say
from harness.errors import BadInput
from harness.report.write import read_table, write_tracked
from harness.run.config import plain
from harness.run.execute import delta
from harness.run.options import build
from harness.run.track.board import board_of
from harness.run.track.content import run_of
from harness.run.track.sending import WandB
from harness.storage.places import expand_home
from harness.storage.store import Store

USAGE = "harness publish NAME [store=FOLDER] [track.project=…] [track.entity=…] [track.mode=online] [track.dir=FOLDER]"


@dataclass(frozen=True)
class Parcel:
    """Holds one run to be sent: its name for people, its id, the digest of its content, and what sends it."""

    name: str
    run_id: str
    digest: str
    send: Callable[[], str]


def command(words: list[str]) -> int:
    """Runs `harness publish NAME [store=results] [track.project=…]`: one run per record, and the leaderboard.

    A run that W&B has already with the same content is left alone; one with other content is replaced. Returns 1 if a
    run did not get where it should.
    """
    own, said = _split(words)
    names, options = parse(own, ("store",))
    if len(names) != 1:
        raise BadInput(f"name a study: {USAGE}")
    store = Store(_folder(names[0], expand_home(options.get("store", "results"), "store")))
    tracker = _tracker(said, store.folder)
    with TemporaryDirectory() as place:
        figures = write_tracked(store, Path(place))
        joined = join(store)
        for line in _left_out(store, joined):
            say(line)
        tracker.begin()
        wanted = tracker.mode == "online" or tracker.is_online()
        parcels = list(_parcels(tracker, joined, figures, Path(place)))
        fates = _deliver(parcels, tracker.present(joined.name))
    print(_line(joined.name, fates, tracker))
    return 1 if fates["lost"] or (wanted and fates["on disk"]) else 0


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the command's own arguments, and the overrides of the group `track`."""
    said = [word for word in words if word.removeprefix("--").partition("=")[0].partition(".")[0] == "track"]
    return [word for word in words if word not in said], [word.removeprefix("--") for word in said]


def _folder(name: str, store: Path) -> Path:
    """Returns the study's folder; BadInput if it holds no records."""
    folder = store / name
    if not (folder / "trials").is_dir():
        known = [path.name for path in store.glob("*/") if (path / "trials").is_dir()]
        raise BadInput(f"no records of a study '{name}' in {store}{choices(name, known)}")
    return folder


def _tracker(said: Sequence[str], folder: Path) -> WandB:
    """Returns the tracker that the overrides choose, with unlimited patience: the user waits for nothing else.

    Nothing but the option of the group `track` is built. BadInput if it does not send to W&B.
    """
    cfg = load_checked_config(list(said), option_loader())
    tracker = build(plain(cfg.track))(folder / "wandb")
    if not isinstance(tracker, WandB):
        raise BadInput(
            "nothing is sent with track=none, nor if track.mode or WANDB_MODE is disabled: write track.mode=auto"
        )
    return replace(tracker, patience=replace(tracker.patience, seconds=float("inf")))


def _left_out(store: Store, joined: Records) -> Iterator[str]:
    """Yields a line for each kind of trial that is not sent."""
    if joined.missing:
        yield f"{len(joined.missing)} of {len(joined.rows)} trials have no record yet and are not sent"
    if joined.stale:
        yield f"{joined.stale} records belong to no trial of the study's plan and are not sent"
    yield from (f"damaged and not sent: {line}" for line in store.damaged())


def _parcels(tracker: WandB, joined: Records, figures: list[Path], folder: Path) -> Iterator[Parcel]:
    """Yields the runs of all records, then the leaderboard; `folder` holds what the leaderboard is made from."""
    controls = {record["key"]: record for record in joined.records}
    for record in joined.records:
        control = None if record["key"] == record["control"] else controls.get(record["control"])
        run = run_of(record, delta(record, control))
        yield Parcel(run.opening["name"], run.opening["id"], run.digest, partial(tracker.send_trial, run))
    board = board_of(joined.name, read_table(folder), figures, folder)
    yield Parcel("leaderboard", board.opening["id"], board.digest, partial(tracker.send_board, board))


def _deliver(parcels: Sequence[Parcel], present: Mapping[str, str]) -> Counter[str]:
    """Sends the runs that are not present with the same content; returns how many had which fate."""
    fates: Counter[str] = Counter()
    for parcel in track(parcels, "publishing", transient=True, disable=not sys.stderr.isatty()):
        fate = "present" if present.get(parcel.run_id) == parcel.digest else parcel.send()
        if fate == "lost":
            say(f"failed: {parcel.name}")
        fates[fate] += 1
    return fates


def _line(study: str, fates: Mapping[str, int], tracker: WandB) -> str:
    """Returns how many runs were sent, were there already, and failed, and how to upload those on disk."""
    disk = f"{fates['on disk']} written to disk, " if fates["on disk"] else ""
    line = f"{study}: {fates['sent']} runs sent, {disk}{fates['present']} were there already, {fates['lost']} failed"
    if not fates["on disk"] and (tracker.is_online() or not fates["present"]):
        return f"{line} (project {tracker.project})"
    return f"{line} (project {tracker.project})\noffline; to upload what is on disk: {tracker.sync}"
