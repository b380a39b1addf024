"""What an arm may change, its label and its levels: the one place that knows."""

from __future__ import annotations

FACTORS = ("model", "weak", "clean", "augment")
"""The groups that make an arm, in the order in which a trial reads them."""
DATA_FACTORS = ("weak", "clean", "augment")
ARM_ROOTS = (*FACTORS, "salt")
"""What an arm may change; everything else belongs to the block and is shared with the control."""
BASELINE = "baseline"


def axis_of(factors: tuple[str, ...]) -> str:
    """`model`, `data`, `both`, or `none` where nothing differs."""
    model, data = "model" in factors, any(name in DATA_FACTORS for name in factors)
    return {(True, True): "both", (True, False): "model", (False, True): "data"}.get((model, data), "none")


def label_of(said: list[str]) -> str:
    """An arm's name: the overrides that make it, as the user wrote them."""
    return " ".join(item.lstrip("+") for item in said if factor_of(item) in ARM_ROOTS) or "baseline"


def factor_of(override: str) -> str:
    """What an override is about: `clean` for `clean=oracle` or `+clean.k=5`, `baseline` for `model@baseline.model`."""
    group, _, place = override.lstrip("+~").split("=")[0].partition("@")
    return (place or group).split(".")[0]


def levels_of(arm: str) -> dict[str, str]:
    """The words of an arm's label by the factor that they choose; a salt chooses none."""
    words = [] if arm == BASELINE else arm.split()
    about = [word.split("=")[0].partition("@")[0].split(".")[0] for word in words]
    return {
        name: " ".join(word for word, factor in zip(words, about, strict=True) if factor == name) for name in FACTORS
    }
