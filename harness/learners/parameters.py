"""Sets hyper-parameters of a learner by their dotted names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from harness.checks import choices
from harness.errors import BadInput


def with_parameters(learner: Any, values: Mapping[str, Any]) -> Any:
    """Returns the learner with new values for some of its hyper-parameters, nested ones included.

    A name is a path of parameters, as in `network.width`. BadInput if the learner has no such parameter.
    """
    for name, value in values.items():
        learner = _set(learner, name.split("."), value, name)
    return learner


def parameter(learner: Any, name: str) -> Any:
    """Returns the value of the hyper-parameter with that dotted name; BadInput if there is none."""
    for part in name.split("."):
        learner = _own(learner, part, name)[part]
    return learner


def _set(learner: Any, path: list[str], value: Any, name: str) -> Any:
    own, (head, *rest) = _own(learner, path[0], name), path
    new = _set(own[head], rest, value, name) if rest else value
    return partial(learner.func, *learner.args, **{**own, head: new})


def _own(learner: Any, part: str, name: str) -> Mapping[str, Any]:
    """Returns the hyper-parameters of a node; Hydra turns `_partial_: true` into a `functools.partial`."""
    own: Mapping[str, Any] = getattr(learner, "keywords", {})
    if part not in own:
        what = learner.func.__name__ if hasattr(learner, "func") else "a plain value"
        raise BadInput(f"'{name}' cannot be set: {what} has no parameter '{part}'{choices(part, own)}")
    return own
