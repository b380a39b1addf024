"""Checks the user's own YAML files before Hydra reads them: it answers some faults with a traceback, or never."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from harness.errors import BadInput
from harness.run.faults import HEADERLESS
from harness.storage.places import own_conf

_MOST_NODES = 10_000
"""Values of one file, those that its aliases repeat counted each time."""


def check_option_files(words: Sequence[str]) -> None:
    """Requires that the user's options and studies that `words` name are mappings of names, without circles.

    BadInput names the file; a YAMLError is raised with the place of a fault in it.
    """
    options = sorted((own_conf() or Path("nowhere")).glob("*/*.yaml"))
    studies = sorted(Path("experiments").glob("*.yaml"))
    named = _names(words)
    chosen = [study for study in studies if study.stem in named]
    named |= _names(study.read_text(encoding="utf-8", errors="replace") for study in chosen)
    for study in chosen:
        check_study_file(study)
    for option in options:
        if option.stem in named:
            _check_file(option)


def check_study_file(study: Path) -> None:
    """Requires that a study's file has its header and is a mapping of names, without circles; errors as above."""
    _check_header(study)
    _check_file(study)


def _check_header(study: Path) -> None:
    """Requires the comment by which Hydra puts what a study's file says at the top of the config.

    A file of another encoding passes: reading it as YAML says what is wrong with it.
    """
    try:
        lines = study.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    for line in lines:
        if re.fullmatch(r"#\s*@package\s+_global_\s*", line.lstrip("\ufeff")):
            return
        if line.strip() and not line.startswith("#"):
            break
    raise BadInput(f"{study}: {HEADERLESS}")


def _names(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"[\w.-]+", text)}


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            root = yaml.compose(file, Loader=yaml.SafeLoader)
    except RecursionError:
        raise BadInput(f"{path} nests values too deep within each other") from None
    if not isinstance(root, yaml.MappingNode):
        raise BadInput(f"{path} must hold a name and a value on each line, as in `seed: 0`")
    if _expanded(root, path, (), {}) > _MOST_NODES:
        raise BadInput(f"{path} has aliases that stand for more than {_MOST_NODES} values")
    for key, value in root.value:
        if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            raise BadInput(f"{path}, line {key.start_mark.line + 1}: {key.value!r} is not a name: put it in quotes")
        if key.value == "defaults":
            _check_defaults(value, path)


def _expanded(node: yaml.Node, path: Path, above: tuple[int, ...], known: dict[int, int]) -> int:
    """Counts the values in a node as often as aliases repeat them; BadInput for an alias of what it lies in."""
    if id(node) in above:
        raise BadInput(f"{path}, line {node.start_mark.line + 1}: a value contains itself, by an alias")
    if id(node) not in known:
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_expanded(part, path, (*above, id(node)), known) for part in parts)
    return known[id(node)]


def _check_defaults(value: yaml.Node, path: Path) -> None:
    """Requires a list of options that does not name the file itself."""
    where = f"{path}, line {value.start_mark.line + 1}: defaults"
    texts = (yaml.MappingNode, yaml.ScalarNode)
    if not isinstance(value, yaml.SequenceNode) or not all(isinstance(item, texts) for item in value.value):
        raise BadInput(f"{where} must be a list of options, as in `- /model: mlp`")
    for item in value.value:
        if item.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:map"):
            raise BadInput(f"{where}: {item.value!r} is not an option: write GROUP: NAME")
        if item.value in (path.stem, f"/{path.parent.name}/{path.stem}"):
            raise BadInput(f"{where} name {path.stem} itself")
        for group, chosen in item.value if isinstance(item, yaml.MappingNode) else []:
            _check_choice(group.value, chosen, where)


def _check_choice(group: str, chosen: yaml.Node, where: str) -> None:
    """Requires the name of an option, or a list of names; nothing at all leaves a group without one."""
    for one in chosen.value if isinstance(chosen, yaml.SequenceNode) else [chosen]:
        if one.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:null"):
            raise BadInput(f"{where}: {group} is no name: write GROUP: NAME, in quotes if the name is a number")
