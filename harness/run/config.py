"""A composed Hydra config in, checked options out: what may be chosen, what binds, what a trial's identity is."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from harness.arm import FACTORS
from harness.errors import BadInput


def plain(node: Any) -> dict[str, Any]:
    """A config node as resolved, plain containers; BadInput where it borrows from a model what is not there."""
    try:
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else dict(node)  # type: ignore[return-value]
    except InterpolationResolutionError as error:
        told = _unborrowed(error)
        if told is None:
            raise
        raise BadInput(told) from None


def _unborrowed(error: InterpolationResolutionError) -> str | None:
    """Why an effort has no model to be spent on, or not the part of it that it needs; None for any other error."""
    where, _, name = str(error.full_key).rpartition(".")
    another = f"say +model@{where}.of=NAME"
    if name == "wraps":
        return f"{where} is an effort on the baseline's model, and cannot be that model itself: {another}"
    if isinstance(error, InterpolationKeyError) and "'wraps." in str(error):
        return f"{where} needs a model with a {name} of its own, which that of the baseline is not: {another}"
    return None


def arm_of(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """The four factors of the arm: a factor that was not chosen is the baseline's, parameters and all."""
    return {name: plain(cfg.get(name) or cfg.baseline[name]) for name in FACTORS}


def baseline_of(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """The four factors of the control."""
    return {name: plain(cfg.baseline[name]) for name in FACTORS}
