"""Defines the errors that are reported in one line, wrong input and a failed trial, and what carries them."""


class BadInput(ValueError):
    """Reports wrong input of the user: the message says what, where, and what would be right. Exit code 2."""


class TrialFailed(RuntimeError):
    """Reports that a trial has no result (a diverged loss, a whole class dropped): recorded, and the study goes on."""


class PastHydra(BaseException):
    """Carries an error of a single job, its argument, past Hydra, which would print its own message."""
