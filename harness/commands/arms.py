"""Lists the options that fit a task, and why others do not; writes the table of all options for the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import GroupDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict

from harness.arm import EVERY_OPTION, FACTORS, kind_in_words
from harness.checks import choices
from harness.commands.overrides import load_checked_config, option_loader
from harness.data import Task
from harness.errors import BadInput
from harness.notices import notice
from harness.run.config import plain
from harness.run.fitting import misfits
from harness.run.options import DECLARED, FAMILIES, OTHER_FAMILY, build, family_of
from harness.storage.places import conf_dir, is_own

TITLES = {"model": "Models", "weak": "Weak supervision", "clean": "Cleaning", "augment": "Augmentation"}


@dataclass(frozen=True)
class ListedOption:
    """Holds one YAML of a factor's group: name, family, what its first comment says, the resolved node, and as written.

    `node` and `written` differ if the YAML refers to the baseline. `fault` says why that fails, or that the family is
    unknown; `node` is then as written.
    """

    group: str
    name: str
    family: str
    says: str
    node: Mapping[str, Any]
    written: Mapping[str, Any]
    fault: str | None = None

    @property
    def arm(self) -> str:
        """Returns the override that chooses the option."""
        return f"{self.group}={self.name}"


def command(words: list[str]) -> int:
    """Runs `harness arms [GROUP …] [task=NAME …]`: prints every option, with the reason if it does not fit."""
    groups = [word for word in words[1:] if "=" not in word]
    for group in groups:
        if group not in FACTORS:
            raise BadInput(f"unknown group '{group}'{choices(group, FACTORS)}")
    loader = option_loader()
    cfg = load_checked_config([word for word in words[1:] if "=" in word], loader)
    with notice("reading the data of the task"):
        task = build(plain(cfg.task)).split(int(cfg.seed))
    print(_headline(task))
    for line in misfits({"model": plain(cfg.baseline.model)}, task):
        print(f"the baseline's {line}: choose another with model@baseline.model=NAME")
    for group in groups or FACTORS:
        with notice(f"listing the options of {group}"):
            _print_group(group, list(options(group, cfg, loader)), cfg, task)
    return 0


def options(group: str, cfg: DictConfig, loader: ConfigLoaderImpl) -> Iterator[ListedOption]:
    """Yields the options of a group, the user's own included, resolved within that config."""
    for name in sorted(loader.get_group_options(group)):
        found = loader.repository.load_config(f"{group}/{name}")
        if found is None:
            continue
        beside = cfg.copy()
        with open_dict(beside):
            beside[group] = _with_inner(group, found, loader)
        written: Any = OmegaConf.to_container(found.config)
        says = first_comment(group, name)
        try:
            yield ListedOption(group, name, family_of(group, written), says, plain(beside[group]), written)
        except BadInput as error:
            yield ListedOption(group, name, OTHER_FAMILY, says, written, written, str(error))


def _with_inner(group: str, found: ConfigResult, loader: ConfigLoaderImpl) -> dict[str, Any]:
    """Returns an option with the options that its defaults list puts within it, and theirs."""
    node: dict[str, Any] = dict(OmegaConf.to_container(found.config))  # type: ignore[arg-type]
    for default in found.defaults_list or []:
        inner = loader.repository.load_config(f"{group}/{default.value}") if isinstance(default, GroupDefault) else None
        if inner is not None:
            node[str(default.package)] = _with_inner(group, inner, loader)
    return node


def why_not(option: ListedOption, cfg: DictConfig, task: Task) -> list[str]:
    """Returns the reasons why an option does not fit the task, the baseline's model or this machine.

    A baseline or a probe that does not fit the task is not the option's fault, and is ignored.
    """
    if option.fault is not None:
        return [option.fault]
    baseline = plain(cfg.baseline.model)
    probe = plain(cfg.get("probe") or cfg.baseline.model)
    rest = {} if misfits({"model": baseline}, task) else {"model": baseline}
    return misfits({**rest, option.group: option.node}, task, None if misfits({"model": probe}, task) else probe)


def _print_group(group: str, found: list[ListedOption], cfg: DictConfig, task: Task) -> None:
    reasons = {option.arm: why_not(option, cfg, task) for option in found}
    fitting = [option for option in found if not reasons[option.arm]]
    width = max(len(option.arm) for option in found)
    print(f"\n{TITLES[group]}: {len(fitting)} of {len(found)} fit")
    for family, members in by_family(group, found):
        print(f"  {family}")
        for option in members:
            why = "; ".join(_short(line) for line in reasons[option.arm])
            yours = f"(yours, {option.group}/{option.name}.yaml) " if is_own(option.group, option.name) else ""
            print(f"    {option.arm:{width}}  {yours}{f'does not fit: {why}' if why else option.says}")


def by_family(group: str, found: Sequence[ListedOption]) -> Iterator[tuple[str, list[ListedOption]]]:
    """Yields each family of the group that has options, with them; families in the order of `FAMILIES`."""
    for family in (*FAMILIES[group], OTHER_FAMILY):
        members = [option for option in found if option.family == family]
        if members:
            yield family, members


def _headline(task: Task) -> str:
    votes = f", {task.train.votes.shape[1]} voters" if task.train.votes.shape[1] else ""
    gold = ", true classes known" if (task.gold >= 0).any() else ""
    rows = f"{len(task.train)} training, {len(task.valid)} validation and {len(task.test)} test rows"
    return f"{task.name}: {task.modality}, {len(task.classes)} classes, {rows}{votes}{gold}"


def _short(line: str) -> str:
    """Returns a reason without the option's own name, which is printed before it."""
    return re.sub(r"^(\w+ \(\w+\)|model) ", "", line)


def first_comment(group: str, name: str) -> str:
    """Returns the first comment of the option's YAML, the user's own or the harness's."""
    for folder in (Path.cwd() / "conf", conf_dir()):
        path = folder / group / f"{name}.yaml"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            comment = lines[: next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))]
            return " ".join(line.lstrip("# ").strip() for line in comment)
    return ""


# The table for the docs


def options_as_markdown() -> str:
    """Returns Markdown tables of all options of the factors, one per family, from the YAML files only."""
    loader = option_loader()
    cfg = load_checked_config(["track=none"], loader)
    return "\n".join(line for group in FACTORS for line in _markdown_group(group, list(options(group, cfg, loader))))


def _markdown_group(group: str, found: list[ListedOption]) -> Iterator[str]:
    head = ("arm", "what it does", "modalities", "needs", "paper", "library", "cost", "parameters")
    yield f"## {TITLES[group]}\n"
    for family, members in by_family(group, found):
        yield f"### {TITLES[group]}: {family}\n"
        yield f"| {' | '.join(head)} |"
        yield f"|{'|'.join([':--'] * len(head))}|"
        for option in members:
            escaped = [cell.replace("|", "\\|") for cell in _cells(option)]
            yield f"| {' | '.join(escaped)} |"
        yield ""


def _cells(option: ListedOption) -> tuple[str, ...]:
    node = option.written
    needs = ", ".join([*(node.get("needs") or []), *(node.get("extra") or {}), *(node.get("programs") or [])])
    kind = str(node.get("reference_kind") or "")
    told = f" *({_reference(node)})*" if kind and "${" not in kind else ""
    fits = _said(node.get("fits") or [])
    return (
        f"`{option.arm}`{told}", option.says, fits if isinstance(fits, str) else ", ".join(fits), needs,
        str(node.get("paper") or ""), str(node.get("library") or ""), str(node.get("cost") or ""),
        ", ".join(f"`{name}={value}`" for name, value in _parameters(node)),
    )  # fmt: skip


def _reference(node: Mapping[str, Any]) -> str:
    """Returns the kind of a reference, and beside which options it is one."""
    words = [word for word in node.get("reference_for") or [] if word != EVERY_OPTION]
    return f"{kind_in_words(node['reference_kind'])} of {', '.join(words) if words else 'all'}"


def _said(value: Any) -> Any:
    """Returns a value for the table; a reference to the baseline, or to an inner option, in words."""
    if isinstance(value, str) and "${" in value:
        return "that of `of`" if ".of" in value and "baseline" not in value else "the baseline's"
    return "null" if value is None else value


def _parameters(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields a node's parameters by dotted name; for an inner node, its function and its parameters."""
    for name, value in node.items():
        if name.startswith("_") or name in DECLARED:
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            yield f"{prefix}{name}", str(value["_target_"]).rpartition(".")[2]
            yield from _parameters(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(_said(value))
