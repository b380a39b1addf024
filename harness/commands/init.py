"""Runs `harness init`: writes the study that `harness ask` would run."""

from __future__ import annotations

from harness.commands.ask import write_only


def command(words: list[str]) -> int:
    """Runs `harness init DATA [name=NAME] …`: writes the study of `harness ask` as experiments/NAME.yaml, and stops.

    It takes the options of `harness ask`. The file is commented, yours to change, and is run by
    `harness -m experiments=NAME`.
    """
    return write_only(words)
