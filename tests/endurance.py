"""What happens to studies, many times over: kills at random moments, trials that exhaust the memory, signals.

    python tests/endurance.py kills --number 300     kill -9 of the command, of its workers, or of both; then go on
    python tests/endurance.py memory --trials 200    a study in which one arm in ten dies for lack of memory
    python tests/endurance.py signals                SIGINT, SIGTERM and SIGHUP, while trials run
    python tests/endurance.py hosts --number 30      two hosts on one store, one of which is killed at random moments

Each prints what it did and counts what must be zero; it exits with 1 if something is not. Commands are processes of
their own, their workers are those of a real study.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from invoke import started
from warm import Command

from harness.storage.store import Store

ALIVE_S = 5.0
"""How long a process may outlive its command."""
PATIENCE_S = 600.0
MINE = '''
"""A learner that notes when it is asked, and cleaning functions, one of which dies for lack of memory."""
import os
import resource
import signal
import time
import warnings

import numpy as np

from harness.learners import Fit

if os.environ.get("FORKED_WORKERS"):
    from joblib.externals.loky.backend import context

    warnings.simplefilter("ignore")
    context.set_start_method("fork", force=True)


def fit(train, valid, run, *, slow: float):
    """Predicts the most frequent class, and notes the arm, by the rows that it left, the seed and the time."""
    with open("fits.txt", "a") as file:
        file.write(f"{len(train)} {run.seed} {time.time()}\\n")
    time.sleep(slow)
    most = np.eye(train.k, dtype=np.float32)[train.y.sum(0).argmax()]
    return Fit(predict=lambda x: np.tile(most, (len(x), 1)), parameters=0, examples=len(train))


def first(train, tools, *, rows: int):
    """Drops the first rows."""
    return train.rows(np.arange(len(train)) >= rows)


def greedy(train, tools, *, rows: int, how: str):
    """Takes memory until there is none: Python says so, or the system kills the process."""
    if how == "error":
        limit = resource.getrlimit(resource.RLIMIT_AS)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, limit[1]))
        try:
            held = []
            while True:
                held.append(np.ones(2**24))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limit)
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does to the process that holds most
'''
OPTIONS = {
    "model/mine": "# predicts one class\n_target_: mine.fit\n_partial_: true\nfits: [table]\nslow: 0.02\n",
    "clean/first": "# drops the first rows\n_target_: mine.first\n_partial_: true\nfits: [table]\nrows: 1\n",
    "clean/greedy": "# takes all memory\n_target_: mine.greedy\n_partial_: true\nfits: [table]\nrows: 1\nhow: error\n",
}
STUDY = """# @package _global_
defaults:
  - override /task: table
  - override /model@baseline.model: mine
  - override /hydra/sweeper: study

study: long
task: {path: table.csv, label: label}
"""
WORDS = ("-m", "experiments=long", "store=results", "cache=cache", "track=none", "hydra.launcher.n_jobs=2")


@dataclass
class Toll:
    """What was done to a study, and what came of it; all but the first and the last two must stay 0."""

    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    torn: int = 0
    changed: int = 0
    doubled: int = 0
    orphans: int = 0
    commands: int = 0
    seconds: float = 0.0

    @property
    def bad(self) -> int:
        return self.lost + self.torn + self.changed + self.doubled + self.orphans

    def __str__(self) -> str:
        done = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items()))
        return (
            f"{sum(self.kills.values())} kills ({done}) in {self.commands} commands, {self.seconds:.0f} s: "
            f"{self.lost} records lost, {self.torn} torn, {self.changed} changed, {self.doubled} computed again, "
            f"{self.orphans} processes that outlived their command by {ALIVE_S:.0f} s"
        )


def prepare(folder: Path, arms: str, seeds: str, slow: float) -> Store:
    """Writes a user's folder with a study of tiny trials; returns the store that it will have."""
    lines = [f"{row * 7 % 13},{row % 5},{'xyz'[row % 3]}" for row in range(120)]
    (folder / "table.csv").write_text("\n".join(["a,b,label", *lines]) + "\n")
    (folder / "mine.py").write_text(MINE)
    for name, text in OPTIONS.items():
        place = folder / "conf" / f"{name}.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.replace("slow: 0.02", f"slow: {slow}"))
    (folder / "experiments").mkdir()
    (folder / "experiments" / "long.yaml").write_text(STUDY + f"seeds: {seeds}\narms: {arms}\n")
    return Store(folder / "results" / "long")


def kills(number: int, seed: int, slow: float, folder: Path) -> Toll:
    """Kills a study of two workers that many times, goes on each time, and lets it end; returns what was counted.

    A study that ends before it was killed often enough begins anew, in a folder of its own.
    """
    rng, toll, round_ = random.Random(seed), Toll(), 0
    begun = time.monotonic()
    while sum(toll.kills.values()) < number:
        place = folder / str(round_)
        place.mkdir()
        arms = "[" + ", ".join(f"[clean=first, clean.rows={rows}]" for rows in (1, 2)) + "]"
        one_study(place, prepare(place, arms, "24", slow), number, rng, toll)
        round_ += 1
        toll.seconds = time.monotonic() - begun
        print(f"study {round_}: {toll}", flush=True)
    toll.seconds = time.monotonic() - begun
    return toll


def one_study(folder: Path, store: Store, number: int, rng: random.Random, toll: Toll) -> None:
    """Kills one study until it is done or was killed often enough, then lets it end and checks what it left."""
    known: dict[str, int] = {}
    while True:
        process = started(*WORDS, "retry=true", folder=folder)
        toll.commands += 1
        enough = sum(toll.kills.values()) >= number
        ended = wait(process, PATIENCE_S) if enough else disturbed(process, rng, number, toll)
        toll.orphans += outliving(process)
        inspect(store, folder, known, toll)
        if ended and process.returncode == 0:
            break
    planned = {row["key"] for row in (store.plan() or {"trials": []})["trials"]}
    toll.lost += sum(store.read(key) is None for key in planned)


def disturbed(process: Command, rng: random.Random, number: int, toll: Toll) -> bool:
    """Kills a running command or its workers at random moments; returns whether it ended by itself."""
    while True:
        if wait(process, rng.uniform(0.0, 5.0)):
            return True
        pool, what = workers(process.pid), rng.choice(["command", "worker", "both"])
        if what == "worker" and not pool:
            continue
        toll.kills[what] += 1
        if what == "worker":
            kill(rng.choice(pool))
            if sum(toll.kills.values()) >= number:
                return wait(process, PATIENCE_S)
            continue
        for one in [process.pid, *(pool if what == "both" else [])]:
            kill(one)
        process.communicate(timeout=PATIENCE_S)
        return False


def wait(process: Command, seconds: float) -> bool:
    """Returns whether a command ended within that time."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill(number: int) -> None:
    """Kills a process, if it still lives."""
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def members(group: int) -> dict[int, str]:
    """Returns the command line of each living process of a group, by its number."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, leader = (place / "stat").read_text().rpartition(")")[2].split()[:3]
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError):
            continue
        if int(leader) == group and state != "Z":
            found[int(place.name)] = line
    return found


def workers(group: int) -> list[int]:
    """Returns the processes of a group that run trials."""
    return [number for number, line in members(group).items() if number != group and "tracker" not in line]


def outliving(process: Command) -> int:
    """Counts the processes of a command that live longer than they may after it has ended, and ends them."""
    deadline = time.monotonic() + ALIVE_S
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = members(process.pid)
    for number, line in left.items():
        print(f"outlives its command: {line[:200]}", flush=True)
        kill(number)
    return len(left)


def inspect(store: Store, folder: Path, known: dict[str, int], toll: Toll) -> None:
    """Counts records that are lost, torn or changed since the last look, and trials that ran although they were done."""
    toll.torn += len(store.damaged())
    trials = store.folder / "trials"
    there = {path.name: path.stat().st_mtime_ns for path in trials.glob("*.json") if ".failed" not in path.name}
    toll.lost += len(set(known) - set(there))
    toll.changed += sum(there[name] != when for name, when in known.items() if name in there)
    known.update(there)
    toll.doubled += doubled(store, folder, there)


def doubled(store: Store, folder: Path, there: Mapping[str, int]) -> int:
    """Counts fits that began after their trial had a record."""
    notes = folder / "fits.txt"
    lines = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
    records = {name: store.read(name.removesuffix(".json")) for name in there}
    done = {
        (record["facts"]["train"] - (record["receipts"]["clean"].get("n_dropped") or 0), record["trial"]["seed"]): there[name]
        for name, record in records.items() if record
    }  # fmt: skip
    return sum(float(line[2]) * 1e9 > done.get((int(line[0]), int(line[1])), 2**63) for line in lines if len(line) == 3)


def memory(trials: int, folder: Path) -> bool:
    """Runs a study in which one arm in ten dies for lack of memory, in either way; returns whether all is as it must be."""
    seeds, begun = 10, time.monotonic()
    arms = trials // seeds - 1
    greedy = trials // seeds // 10
    listed = [f"[clean=first, clean.rows={rows}]" for rows in range(1, arms - greedy + 1)]
    listed += [
        f"[clean=greedy, clean.rows={n}, clean.how={'error' if n % 2 else 'kill'}]" for n in range(1, greedy + 1)
    ]
    store = prepare(folder, f"[{', '.join(listed)}]", str(seeds), 0.0)
    process = started(*WORDS, folder=folder)
    out, err = process.communicate(timeout=7200)
    records = store.records()
    reasons = Counter(record["reason"] for record in records if record["status"] == "failed")
    done = sum(record["status"] == "done" for record in records)
    board = (store.folder / "leaderboard.md").is_file()
    print(f"{len(records)} trials in {time.monotonic() - begun:.0f} s: {done} done, {reasons.total()} failed, "
          f"leaderboard {'written' if board else 'missing'}, exit code {process.returncode}")  # fmt: skip
    for reason, count in reasons.items():
        print(f"  {count} x {reason}")
    print("\n".join(line for line in err.splitlines() if line.startswith("harness: ")))
    said = all(
        str(reason).startswith(("MemoryError", "ArrayMemoryError", "_ArrayMemoryError")) or "SIGKILL" in str(reason)
        for reason in reasons
    )
    right = (len(records), reasons.total(), process.returncode) == (trials, greedy * seeds, 1)
    return right and board and said and "Traceback" not in err and bool(out)


def signals(folder: Path) -> bool:
    """Sends each signal to a command while two workers run trials; returns whether all end as they must."""
    good = True
    for name, code in (("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)):
        place = folder / name
        place.mkdir()
        store = prepare(place, "[[clean=first, clean.rows=1]]", "2", 60.0)
        process = started(*WORDS, folder=place)
        deadline = time.monotonic() + PATIENCE_S
        while not (place / "fits.txt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        sent = time.monotonic()
        os.kill(process.pid, getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE_S)
        took, left = time.monotonic() - sent, outliving(process)
        lines = [line for line in err.splitlines() if line.startswith("harness: ")]
        print(
            f"{name}: exit code {process.returncode} after {took:.1f} s, {left} processes outlive it by {ALIVE_S:.0f} s, {len(store.damaged())} torn records: {lines}"
        )
        good &= (
            process.returncode == code
            and not left
            and "Traceback" not in err
            and not store.damaged()
            and len(lines) == 1
        )
    return good


HOST = """
import json, socket, sys, time
import numpy as np
name, folder, slow = sys.argv[1], sys.argv[2], float(sys.argv[3])
socket.gethostname = lambda: name  # processes of the other host are unknown here, as on another machine
from pathlib import Path
from studies import key, made_test_set, record, shown
from harness.storage.store import Store

store, test = Store(Path(folder)), made_test_set(200, 3)
store.remove_leftovers()
store.keep_test_set(test)
print("begins", flush=True)
for seed in range(40):
    for arm in ("baseline", "clean=a", "clean=b"):
        def work(keep, arm=arm, seed=seed):
            with store.running(key(arm, seed)):
                with open(store.folder / "fits.txt", "a") as file:
                    file.write(f"{key(arm, seed)} {time.time()}\\n")
                time.sleep(slow)
                return keep(record(store, arm, seed, shown(test, 0.7, arm, str(seed)), test))
        store.fetch(key(arm, seed), work)
"""
"""What each of two hosts does: it asks for all trials of a study, and computes those that have no record."""


def hosts(number: int, seed: int, slow: float, folder: Path) -> bool:
    """Runs two hosts on one store, kills one of them that often, and lets both end; returns whether all is whole.

    Each has a name and a home of its own, so that neither can tell whether a process of the other lives. Locks and
    files are all that they share. The killed host begins anew each time; when a store is complete, a new one is begun.
    """
    rng, kills_, lost, torn, doubled_, stores = random.Random(seed), 0, 0, 0, 0, 0
    while kills_ < number:
        store = Store(folder / str(stores))
        stores += 1
        store.folder.mkdir()
        steady, shaken = host("steady", store, slow, folder), host("shaken", store, slow, folder)
        while kills_ < number and steady.poll() is None:
            assert shaken.stdout is not None
            shaken.stdout.readline()  # it has imported everything, and asks for trials now
            time.sleep(rng.uniform(0.0, 3 * slow))
            if shaken.poll() is None:
                shaken.kill()
                kills_ += 1
            shaken.wait()
            shaken = host("shaken", store, slow, folder)
        lost += sum(process.wait(PATIENCE_S) != 0 for process in (steady, shaken))
        records = store.inventory()
        torn += len(records.damaged) + len(list((store.folder / "trials").glob("*.failed.json")))
        lost += 120 - len(records.records)
        doubled_ += fits_after_records(store)
    print(f"{kills_} kills of one of two hosts, {stores} stores of 120 trials: {lost} records lost, {torn} torn, "
          f"{doubled_} computed although there was a record")  # fmt: skip
    return not lost + torn + doubled_


def host(name: str, store: Store, slow: float, folder: Path) -> subprocess.Popen:
    """A host's process, with a home of its own."""
    home = folder / f"home-{name}"
    home.mkdir(exist_ok=True)
    paths = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))
    words = [sys.executable, "-c", HOST, name, str(store.folder), str(slow)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "HOME": str(home), "PYTHONPATH": paths})


def fits_after_records(store: Store) -> int:
    """Counts trials that began to be computed after their record was there."""
    done = {path.stem: path.stat().st_mtime for path in (store.folder / "trials").glob("*.json")}
    lines = [line.split() for line in (store.folder / "fits.txt").read_text().splitlines()]
    return sum(float(when) > done.get(name, float("inf")) for name, when in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "memory", "signals", "hosts"])
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--forked", action="store_true", help="workers are forked and not started anew: quicker to kill"
    )
    parser.add_argument("--slow", type=float, default=0.3, help="seconds that a trial of `kills` takes")
    said = parser.parse_args()
    if said.forked:
        os.environ["FORKED_WORKERS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if said.what == "kills":
            toll = kills(said.number, said.seed, said.slow, folder)
            print(toll, flush=True)
            return int(toll.bad > 0)
        if said.what == "hosts":
            return int(not hosts(said.number, said.seed, said.slow, folder))
        return int(not (memory(said.trials, folder) if said.what == "memory" else signals(folder)))


if __name__ == "__main__":
    sys.exit(main())
