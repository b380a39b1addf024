"""Defines how a check says that an option broke a promise."""

from __future__ import annotations


class BrokenPromise(Exception):
    """An option does not do what every option of its kind must do: the message says what happened instead."""


def require(holds: object, message: str) -> None:
    """Raises BrokenPromise with that message unless the condition is true."""
    if not holds:
        raise BrokenPromise(message)
