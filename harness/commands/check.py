"""Runs `harness check clean=mine`: checks the chosen options and prints one line per check."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.arm import FACTORS, factor_of
from harness.commands.overrides import load_checked_config, option_loader
from harness.commands.terminal import say
from harness.conformance.declarations import check_binds, check_declares, check_references
from harness.conformance.learner_suite import learner_checks
from harness.conformance.strategy_suite import strategy_checks
from harness.conformance.suite import Check, Outcome, modalities, run_checks
from harness.errors import BadInput
from harness.notices import notice_each
from harness.run.config import plain
from harness.run.fitting import missing_packages
from harness.run.options import layers
from harness.storage.places import conf_dir

USAGE = "write harness check clean=NAME [clean.PARAMETER=VALUE …], or weak=, augment=, model="


def command(words: list[str]) -> int:
    """Runs `harness check clean=NAME …` for each chosen option; returns 0 if all checks pass, else 2."""
    said = words[1:]
    odd = [word for word in said if "=" not in word]
    if odd:
        raise BadInput(f"'{odd[0]}' is not an override: {USAGE}")
    chosen = [word for word in said if word.split("=")[0].lstrip("+") in FACTORS]
    if not chosen:
        raise BadInput(f"no option to check is chosen: {USAGE}")
    cfg = load_checked_config(said, option_loader())
    failed = 0
    for word in chosen:
        failed += _check_option(word.lstrip("+"), plain(cfg[factor_of(word)]))
    return 2 if failed else 0


def _check_option(arm: str, node: Mapping[str, Any]) -> int:
    """Runs and prints the checks of one option; returns how many failed."""
    group, _, name = arm.partition("=")
    missing = list(missing_packages(arm, node))
    if missing:
        raise BadInput("\n".join(missing))
    start, outcomes = time.perf_counter(), []
    with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
        for outcome in notice_each(run_checks(_checks(group, name, node, Path(folder))), f"checking {arm}"):
            outcomes.append(outcome)
            _print_outcome(arm, outcome)
    print(f"{arm}: {_summary(outcomes)} ({time.perf_counter() - start:.1f} s)", flush=True)
    return sum(outcome.fault is not None for outcome in outcomes)


def _summary(outcomes: Sequence[Outcome]) -> str:
    """Returns how many checks pass or fail, and on which modalities."""
    wrong = sum(outcome.fault is not None for outcome in outcomes)
    sets = dict.fromkeys(each.check.where.split(" (")[0] for each in outcomes if each.check.where != "YAML")
    where = ", ".join(sets) or "the YAML"
    return f"{wrong} of {len(outcomes)} checks on {where} fail" if wrong else f"{len(outcomes)} checks on {where} pass"


def _checks(group: str, name: str, node: Mapping[str, Any], folder: Path) -> Iterator[Check]:
    """Yields the checks of the YAML, then those of the function on every modality."""
    yield Check("says what it is", "YAML", "a comment in the first line, `_partial_: true`, known `fits` and `needs`",
                lambda: check_declares(_text_of(group, name), node))  # fmt: skip
    yield Check("parameters", "YAML", "every parameter keyword-only in the function and present in the YAML",
                lambda: check_binds(node))  # fmt: skip
    if node.get("reference_for"):
        names = option_loader().get_group_options(group)
        yield Check("reference for", "YAML", f"options and families of {group} in `reference_for`",
                    lambda: check_references(group, node, names))  # fmt: skip
    fits = modalities(node, layers(node))
    if group == "model":
        yield from learner_checks(node, fits, folder)
    elif fits:
        yield from strategy_checks(group, node, folder)


def _text_of(group: str, name: str) -> str:
    """Returns the option's YAML as written, the user's own or the harness's."""
    places = [folder / group / f"{name}.yaml" for folder in (Path.cwd() / "conf", conf_dir())]
    return next(place for place in places if place.is_file()).read_text(encoding="utf-8")


def _print_outcome(arm: str, outcome: Outcome) -> None:
    check = outcome.check
    if outcome.fault is None:
        print(f"  {check.where:18} {check.name} ({outcome.seconds:.2f} s)", flush=True)
        return
    say(f"{arm}: FAILED {check.name} ({check.where}): expected {check.expects}; {outcome.fault}")
