"""Specifies a trial: what it runs on, its identity and key, and how it differs from its control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.arm import DATA_FACTORS, EVERY_OPTION, FACTORS, axis_of, factors_of, reference_of
from harness.errors import BadInput
from harness.run.options import OTHER_FAMILY, identity, needs_of
from harness.run.sources import user_sources
from harness.storage.keys import trial_key
from harness.storage.places import content_of
from harness.streams import salt_faults

Log = Callable[[Mapping[str, float]], None]
"""Hears a row of the training curve."""


@dataclass(frozen=True)
class Trial:
    """Specifies one run completely.

    `task`, `protocol`, `probe` and the four factors of `arm` are resolved config nodes; `data` is the fingerprint of
    the task's content. `salt` renames the streams of the learner, all or the one that it names (`init:a`), so that two
    trials can differ in randomness only. BadInput for a salt that names a stream that no learner has.
    """

    task: Mapping[str, Any]
    arm: Mapping[str, Mapping[str, Any]]
    probe: Mapping[str, Any]
    protocol: Mapping[str, Any]
    data: str
    seed: int
    salt: str = ""

    def __post_init__(self) -> None:
        wrong = salt_faults(self.salt)
        if wrong:
            raise BadInput(wrong[0])

    def identity(self) -> dict[str, Any]:
        """Returns what identifies the trial: content and parameters, no path, no device, no tracker.

        The probe is included only if a strategy needs one, the number of tuning trials only if something is tuned,
        and `sources`, the hashes of the user's own code, only if there is such code.
        """
        probed = any({"probe", "dynamics"} & needs_of(self.arm[name]) for name in DATA_FACTORS)
        tuned = [*self.arm.values(), *([self.probe] if probed else [])]
        code = user_sources(self.task, self.arm, self.probe if probed else None, self.protocol)
        return {
            "task": identity(self.task, lambda path: None),
            **{name: identity(self.arm[name], content_of) for name in FACTORS},
            "probe": identity(self.probe, content_of) if probed else None,
            "protocol": shared_rules(self.protocol, tuned),
            "data": self.data,
            "seed": self.seed,
            "salt": self.salt,
            **({"sources": code} if code else {}),
        }

    @property
    def key(self) -> str:
        """Returns the SHA-256 of the identity, 40 hexadecimal digits."""
        return trial_key(self.identity())

    def control(self, baseline: Mapping[str, Mapping[str, Any]]) -> Trial:
        """Returns the trial of the baseline arm on the same block."""
        return replace(self, arm=baseline, salt="")

    def against(self, baseline: Mapping[str, Mapping[str, Any]], rows: int = 0) -> dict[str, Any]:
        """Returns how the arm differs from the baseline: the factors, the axis, and its kind of reference, if any.

        `families` holds the family of each option that it changes, `reference_for` the options that each is declared
        a reference for. `rows` is the number of training rows, if known: an arm that may ask for all of their labels
        is an upper bound.
        """
        factors = factors_of(self.identity(), self.control(baseline).identity())
        options = {name: self.arm[name] for name in factors}
        kinds = {name: _kind(option, rows if name == "clean" else 0) for name, option in options.items()}
        return {
            "factors": list(factors), "axis": axis_of(factors), "reference": reference_of(list(kinds.values())),
            "families": {name: option.get("family", OTHER_FAMILY) for name, option in options.items()},
            "reference_for": {
                name: list(options[name].get("reference_for") or [EVERY_OPTION]) for name, kind in kinds.items() if kind
            },
        }  # fmt: skip


def _kind(option: Mapping[str, Any], rows: int) -> str | None:
    """Returns an option's kind of reference; one that may ask for all labels of `rows` rows (0: not known) is an upper
    bound.
    """
    k = option.get("k")
    buys_all = "gold" in needs_of(option) and isinstance(k, int) and 0 < rows <= k
    return "upper_bound" if buys_all else option.get("reference_kind")


def shared_rules(protocol: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> Any:
    """Returns the identity of a protocol for a trial with these options."""
    tuned = any("tuning" in needs_of(node) for node in nodes)
    return identity({name: value for name, value in protocol.items() if tuned or name != "tuning_trials"})
