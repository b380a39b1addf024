"""What commands cost that train nothing: processor seconds and memory, of this tree and of an earlier commit in turn.

    python tests/benchmarks/commands.py [ROW …] [against=COMMIT] [repeats=3]

Each row is a process of its own and leaves `results/benchmarks/ROW.json`: the median and the spread of its processor
seconds, its largest memory, and, with `against`, those of the other side and the ratio of the medians. Processor
seconds rather than time on the clock, so that a busy machine matters less. Both sides read the same records.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from harness.storage.keys import trial_key
from harness.storage.store import sealed

ROOT = Path(__file__).parents[2]
OUT = ROOT / "results" / "benchmarks"
STUDY, N_TABLE, N_SEEDS = "quickstart", 10_000, 200
_QUIET = ("store=store", "cache=cache", "track=none")
_PLAN = f"""
from harness.commands.overrides import load_config, option_loader
from harness.commands.study import plan_study
loader, base = option_loader(), ["experiments={STUDY}", "seeds={N_SEEDS}", "track=none", "cache=cache"]
plan = plan_study(load_config(base, loader), base, lambda said: load_config(list(said), loader))
print(len(plan), "trials")
"""
_TABLE = """
from pathlib import Path
from harness.analysis.effects import trials
from harness.storage.store import Store
rows = [{**one, "control": one["key"], "study": "many", "arm": "baseline", "axis": "none", "factors": [],
         "reference": "", "names": {}, "overrides": [], "seed": one["trial"]["seed"]}
        for one in Store(Path("store/many")).inventory().records]
print(trials(rows).shape)
"""
ROWS: Mapping[str, tuple[str, ...]] = {
    "help": ("-m", "harness", "--help"),
    "arms": ("-m", "harness", "arms", "track=none"),
    "report_drawn": ("-m", "harness", "report", STUDY, "store=store"),
    "report_again": ("-m", "harness", "report", STUDY, "store=store"),
    "study_again": ("-m", "harness", "-m", f"experiments={STUDY}", *_QUIET),
    "plan_8800": ("-c", _PLAN),
    "table_10000": ("-c", _TABLE),
}
_USAGE = "import json, resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr); \
r = resource.getrusage(resource.RUSAGE_CHILDREN); print(json.dumps([r.ru_utime + r.ru_stime, r.ru_maxrss / 1024]))"


def measure_once(tree: Path, words: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Processor seconds and MiB of a command of the code in `tree`, run in `folder`; its error output if it fails."""
    env = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _USAGE, sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    cpu_s, mib = json.loads(done.stdout)
    return cpu_s, mib


def make_records(folder: Path) -> None:
    """Puts many small records beside each other: one of the study's, at other seeds."""
    first = json.loads(next((ROOT / "results" / STUDY / "trials").glob("*.json")).read_text())
    shutil.copytree(ROOT / "results" / STUDY / "tests", folder / "tests")  # with the folders above it
    (folder / "trials").mkdir()
    for seed in range(N_TABLE):
        trial = {**first["trial"], "seed": seed}
        one = {**first, "trial": trial, "key": trial_key(trial)}
        (folder / "trials" / f"{one['key']}.json").write_bytes(sealed(one))


def before(row: str, folder: Path) -> None:
    """Brings the folder into the state in which a row is asked."""
    if row == "report_drawn":
        (folder / "store" / STUDY / ".report.json").unlink(missing_ok=True)


def run_row(row: str, sides: Mapping[str, Path], folder: Path, repeats: int) -> dict[str, Any]:
    """The row's result: each side in turn, once without being counted, then `repeats` times."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, tree in sides.items():
            before(row, folder)
            measured = measure_once(tree, ROWS[row], folder)
            found[name] += [measured] * (turn > 0)
    said: dict[str, Any] = {name: _summary(values) for name, values in found.items()}
    if len(sides) > 1:
        said["ratio"] = round(said["before"]["cpu_s"] / said["now"]["cpu_s"], 2)
    return said


def _summary(values: list[tuple[float, float]]) -> dict[str, Any]:
    seconds = sorted(cpu_s for cpu_s, _ in values)
    return {
        "cpu_s": round(median(seconds), 2), "spread_s": [round(seconds[0], 2), round(seconds[-1], 2)],
        "mib": round(max(mib for _, mib in values)), "repeats": len(values),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    packages = ("numpy", "pandas", "scipy", "matplotlib", "hydra-core", "torch")
    return {
        "machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(),
        "versions": {name: version(name) for name in packages}, "load": round(os.getloadavg()[0], 1),
        "commit": _git("rev-parse", "HEAD").decode().strip(),
    }  # fmt: skip


def _git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True).stdout


def unpack_commit(commit: str, folder: Path) -> Path:
    """A folder with the tree of a commit."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as packed:
        packed.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Measures the rows that are named, or all of them, and writes a file for each."""
    said = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    rows = [word for word in sys.argv[1:] if "=" not in word] or list(ROWS)
    OUT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        folder, sides = Path(name), {"now": ROOT}
        if "against" in said:
            sides = {"before": unpack_commit(said["against"], folder / "earlier"), **sides}
        shutil.copytree(ROOT / "results" / STUDY, folder / "store" / STUDY)
        setups: Mapping[str, Callable[[Path], None]] = {"table_10000": make_records}
        for row in rows:
            if row in setups:
                setups[row](folder / "store" / "many")
            result = run_row(row, sides, folder, int(said.get("repeats", 3)))
            content = {"row": row, **result, **({"against": said["against"]} if "against" in said else {})}
            (OUT / f"{row}.json").write_text(json.dumps({**content, "on": machine()}, indent=1) + "\n")
            print(f"{row:14}", *(f"{side} {one['cpu_s']} s" for side, one in result.items() if side != "ratio"),
                  f"{result['ratio']}x" if "ratio" in result else "", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
