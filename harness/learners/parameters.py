"""A learner as its YAML makes it and values by dotted name in, the same learner with those values out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from harness.checks import choices
from harness.errors import BadInput


def with_parameters(learner: Any, values: Mapping[str, Any]) -> Any:
    """The learner with some of its hyper-parameters, or of those of the nodes within it, set to other values.

    A name is a path of parameters, as in `network.width`. BadInput where the learner has none of that name.
    """
    for name, value in values.items():
        learner = _set(learner, name.split("."), value, name)
    return learner


def parameter(learner: Any, name: str) -> Any:
    """The value of the hyper-parameter of that dotted name; BadInput where there is none."""
    for part in name.split("."):
        learner = _own(learner, part, name)[part]
    return learner


def _set(learner: Any, path: list[str], value: Any, name: str) -> Any:
    own, (head, *rest) = _own(learner, path[0], name), path
    new = _set(own[head], rest, value, name) if rest else value
    return partial(learner.func, *learner.args, **{**own, head: new})


def _own(learner: Any, part: str, name: str) -> Mapping[str, Any]:
    """The hyper-parameters of a node; what Hydra makes of `_partial_: true` is a `functools.partial`."""
    own: Mapping[str, Any] = getattr(learner, "keywords", {})
    if part not in own:
        what = learner.func.__name__ if hasattr(learner, "func") else "a plain value"
        raise BadInput(f"'{name}' cannot be set: {what} has no parameter '{part}'{choices(part, own)}")
    return own
