"""The two ways in which a user's input or a trial can go wrong, each told in one line."""


class BadInput(ValueError):
    """Something that the user gave is wrong: the message says what, where, and what would be right. Exit code 2."""


class TrialFailed(RuntimeError):
    """A trial cannot give a result (a diverged loss, a class dropped whole): recorded, and the study goes on."""
