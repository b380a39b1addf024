"""Runs `harness claims`: runs missing trials, judges the claims, and writes the verdicts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from harness.analysis.degenerate import degenerate_notes, find_degenerate
from harness.analysis.records import join
from harness.analysis.verdicts import ClaimVerdict, judge
from harness.checks import choices
from harness.claims import (
    Claim,
    claim_files,
    folders,
    read_claim,
    study_file,
)
from harness.commands.arguments import parse
from harness.commands.terminal import say, tell_damaged
from harness.errors import BadInput
from harness.notices import notice
from harness.storage.store import Store

PASSED = ("cache", "track", "device", "threads", "retry")
"""Options that are passed on to the study's run, as is any option with a dot, such as `task.path`."""


def command(words: list[str]) -> int:
    """Runs `harness claims [NAME …] [store=results] [run=no] [task.path=…]`: prints and writes each verdict."""
    from harness.report.claims import line  # imports matplotlib, which no trial needs

    own, passed = _split(words)
    names, options = parse(own, ("store", "run"))
    run = options.get("run", "yes")
    if run not in ("yes", "no"):
        raise BadInput(f"run is '{run}'{choices(run, ('yes', 'no'))}")
    root = Path(options.get("store", "results")).expanduser()
    claims = [read_claim(place) for place in _places(names)]
    studies = list(dict.fromkeys(_known_study(claim, root) for claim in claims))
    if passed and len(studies) > 1:
        raise BadInput(f"{passed[0]} is for one study, and these claims are about {len(studies)}: {', '.join(studies)}")
    for study in studies if run == "yes" else []:
        _run_missing(study, root, passed)
    for study in studies:
        tell_damaged(Store(root / study))
    for claim in claims:
        with notice(f"judging claim {claim.name}"):
            verdict = judge(claim, Store(root / claim.study))
        print(line(verdict), flush=True)
        if (root / claim.study).is_dir():
            _warn(Store(root / claim.study))
            with notice(f"drawing claim {claim.name}"):
                _write(verdict, root / claim.study)
    return 0


def _write(verdict: ClaimVerdict, folder: Path) -> None:
    """Writes a verdict into a study's folder, and says how it comes onto the study's page if that lacks it."""
    from harness.report.claims import write_claim  # imports matplotlib, which no trial needs

    file, page = folder / "claims" / f"{verdict.claim.name}.json", folder / "index.html"
    before = file.read_bytes() if file.is_file() else b""
    write_claim(verdict, file.parent)
    if page.is_file() and file.read_bytes() != before:
        say(f"{page} lacks this verdict: harness report {folder.name} puts it there")


def _warn(store: Store) -> None:
    """Prints whether the baseline or a reference of the study is no control, since it predicts one class throughout."""
    for warning in degenerate_notes(find_degenerate(join(store).records, store.test_set)):
        say(f"{store.folder.name}: {warning}")


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the arguments of the command itself, and those for the run of the study."""
    names = [word.removeprefix("--").partition("=")[0] for word in words]
    ours = [
        not ("=" in word and (name in PASSED or set(name) & set(".@"))) for word, name in zip(words, names, strict=True)
    ]
    passed = [word.removeprefix("--") for word, own in zip(words, ours, strict=True) if not own]
    return [word for word, own in zip(words, ours, strict=True) if own], passed


def _places(names: Sequence[str]) -> list[Path]:
    """Returns the files of the named claims, or of all; BadInput for an unknown name."""
    known = claim_files()
    for name in names:
        if name not in known:
            raise BadInput(f"unknown claim '{name}'{choices(name, known)}")
    if not known:
        raise BadInput(f"there are no claims: write one to {folders()[0]}/NAME.yaml")
    return [known[name] for name in dict.fromkeys(names or sorted(known))]


def _known_study(claim: Claim, root: Path) -> str:
    """Returns the claim's study; BadInput if there is neither a file nor a record of it."""
    plan = root / claim.study / "study.json"
    if study_file(claim.study) is None and not (plan.exists() or plan.is_symlink()):
        known = {path.stem for folder in folders() for path in folder.parent.glob("*.yaml")}
        known |= {path.parent.name for path in root.glob("*/study.json")}
        raise BadInput(f"claim '{claim.name}': unknown study '{claim.study}'{choices(claim.study, known)}")
    return claim.study


def is_complete(store: Store, file: Path | None) -> bool:
    """Returns whether every planned trial has a record and the plan has all arms and seeds of the file."""
    joined = join(store)
    if joined.plan is None or joined.missing:
        return False
    arms, seeds = _asked(file) if file else (set(), set())
    planned = {frozenset(row.get("overrides", [row["arm"]])) for row in joined.rows}
    return arms <= planned and seeds <= {row["seed"] for row in joined.rows}


def _asked(file: Path) -> tuple[set[frozenset[str]], set[int]]:
    """Returns the overrides of the arms that a study's file lists or crosses, and its seeds."""
    said: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    listed = [arm for arms in (said.get("arms") or [], *(said.get("cross") or [])) for arm in arms]
    seeds = said.get("seeds") or []
    return {frozenset([arm] if isinstance(arm, str) else arm) for arm in listed}, set(
        range(seeds) if isinstance(seeds, int) else seeds
    )


def _run_missing(study: str, root: Path, passed: Sequence[str]) -> None:
    """Runs the study if trials are missing, as a command; its tables go to standard error.

    Failed trials are in the records and are reported with the verdict. BadInput if the study could not be run.
    """
    file = study_file(study)
    if (is_complete(Store(root / study), file) and "retry=true" not in passed) or file is None:
        return
    words = ["-m", "harness", "-m", f"experiments={study}", f"store={root}", *passed]
    say(f"harness {' '.join(words[2:])}")
    code = subprocess.run([sys.executable, *words], stdout=sys.stderr, check=False).returncode
    if code in (130, -2):
        raise KeyboardInterrupt
    if code not in (0, 1):
        raise BadInput(f"the study '{study}' could not be run; run=no judges its claims by the records that are there")
