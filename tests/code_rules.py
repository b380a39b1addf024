"""Source code in, the house's rules that it breaks out, a line each: what no run of the code would show."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef
MAKERS = ("default_rng", "RandomState", "Generator", "PCG64", "MT19937", "SeedSequence", "Random", "stream")
"""Calls that make a generator; `stream` makes one from names, which is fine inside a function."""
NUMPY_STATE = ("get_state", "set_state")
TORCH_DRAWS = ("rand", "randn", "randint", "randperm", "multinomial", "normal", "bernoulli")
SEEDS = ("seed", "random_state")
CHANGES = ("append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "clear", "discard")
CONTAINERS = ("list", "dict", "set", "defaultdict", "deque", "Counter", "OrderedDict", "count")
SMALL = 25
"""Functions of fewer nodes are alike by nature."""


def faults_of(source: str, *rules: Callable[[ast.Module], Iterator[str]]) -> list[str]:
    """What the rules find in a module's source."""
    tree = ast.parse(source)
    return [line for rule in rules for line in rule(tree)]


def open_signatures(tree: ast.Module) -> Iterator[str]:
    """Functions that take any parameter at all: a misspelt one would be ignored in silence."""
    for function in functions(tree):
        if function.args.kwarg:
            yield f"{function.name} takes **{function.args.kwarg.arg}: a parameter that it does not know would pass"


def hidden_defaults(tree: ast.Module) -> Iterator[str]:
    """Hyper-parameters (keyword-only, or of an option) with a default in the code, which would hide from the YAML."""
    for function in functions(tree):
        pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        for name in (argument.arg for argument, default in pairs if default is not None):
            yield f"{function.name} hides a default of '{name}': the value stands in the YAML"


def mutable_defaults(tree: ast.Module) -> Iterator[str]:
    """Defaults that every call shares and may change."""
    for function in functions(tree):
        defaults = [default for default in (*function.args.defaults, *function.args.kw_defaults) if default]
        if any(is_container(default) for default in defaults):
            yield f"{function.name} has a mutable default"


def unread_parameters(tree: ast.Module) -> Iterator[str]:
    """Hyper-parameters that a function takes and never looks at."""
    for function in functions(tree):
        read = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
        for argument in function.args.kwonlyargs:
            if argument.arg not in read:
                yield f"{function.name} ignores its parameter '{argument.arg}'"


def own_randomness(tree: ast.Module) -> Iterator[str]:
    """Randomness that is not an argument: generators of a module's own, global ones, seeds written into the code."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        said, last = ast.unparse(call.func), ast.unparse(call.func).rpartition(".")[2]
        given = {word.arg: word.value for word in call.keywords}
        if last in MAKERS and last != "stream":
            yield f"line {call.lineno}: {said} makes a generator; ask for a stream"
        elif said.startswith(("np.random.", "numpy.random.")) and last not in NUMPY_STATE:
            yield f"line {call.lineno}: {said} draws from numpy's global generator"
        elif said.startswith("random.") and last not in ("getstate", "setstate"):
            yield f"line {call.lineno}: {said} draws from Python's global generator"
        elif said.startswith("torch.") and last in TORCH_DRAWS and "generator" not in given:
            yield f"line {call.lineno}: {said} draws from torch's global generator"
        seeds = [given[name] for name in SEEDS if name in given] + (call.args[:1] if last == "manual_seed" else [])
        if any(isinstance(seed, ast.Constant) for seed in seeds):
            yield f"line {call.lineno}: {said} has a seed of its own"


def module_state(tree: ast.Module) -> Iterator[str]:
    """What a module keeps from one call to the next."""
    held = dict(chain.from_iterable(map(bound, tree.body)))
    for name, value in held.items():
        if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in MAKERS:
            yield f"the module holds a random generator, {name}"
        elif is_container(value) and not (name.isupper() or name.startswith("__")):
            yield f"the module holds {name}, which calls can change"
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global {', '.join(node.names)}"
        elif (name := changed(node)) in held and is_container(held[name]):
            yield f"line {node.lineno}: {name} is the module's, and is changed here"


def remembered(tree: ast.Module) -> Iterator[str]:
    """Functions that answer from memory, which is module state by another name."""
    for function in functions(tree):
        if any(ast.unparse(mark).split("(")[0].endswith("cache") for mark in function.decorator_list):
            yield f"{function.name} is cached in the process: a result may hang on earlier calls"


def near_copies(sources: Mapping[str, str]) -> list[str]:
    """Pairs of functions, anywhere in the sources, that differ in constants and names of their own at most."""
    seen: dict[str, str] = {}
    found = []
    for where, source in sources.items():
        for function in functions(ast.parse(source)):
            shape, name = skeleton(function), f"{where}: {function.name}"
            if sum(1 for _ in ast.walk(function)) >= SMALL and seen.setdefault(shape, name) != name:
                found.append(f"{name} is a near-copy of {seen[shape]}: make the difference a parameter")
    return found


PARTICIPLES = frozenset(
    [
        "adjusted",
        "bound",
        "built",
        "checked",
        "chosen",
        "cleaned",
        "composed",
        "counted",
        "covered",
        "crossed",
        "cut",
        "decoded",
        "drawn",
        "dropped",
        "encoded",
        "filled",
        "finished",
        "fitted",
        "flagged",
        "found",
        "gathered",
        "given",
        "grown",
        "held",
        "joined",
        "kept",
        "known",
        "labelled",
        "learned",
        "left",
        "lent",
        "listed",
        "lost",
        "made",
        "matched",
        "mended",
        "met",
        "mixed",
        "moved",
        "named",
        "normalised",
        "numbered",
        "opened",
        "ordered",
        "paired",
        "placed",
        "planned",
        "printed",
        "ranked",
        "reached",
        "read",
        "rendered",
        "run",
        "said",
        "salted",
        "saved",
        "scored",
        "searched",
        "seen",
        "shown",
        "shuffled",
        "signed",
        "sliced",
        "sold",
        "sorted",
        "sought",
        "spent",
        "split",
        "taken",
        "tied",
        "told",
        "turned",
        "typed",
        "voted",
        "wanted",
        "weighted",
        "worded",
        "wrapped",
        "written",
    ]
)
"""Past participles that say nothing of what a name stands for."""
VERBS = frozenset({"cut", "read", "run", "split"})
"""Of them those that are also nouns or imperatives."""


def participles(sources: Mapping[str, str]) -> list[str]:
    """Public functions, classes and modules whose whole name is a past participle, as `told`."""
    found = []
    for where, source in sources.items():
        stem = where.rpartition("/")[2].removesuffix(".py")
        if stem in PARTICIPLES - VERBS:
            found.append(f"{where}: the module {stem} is named by a participle")
        for name in public_names(ast.parse(source), Function | ast.ClassDef):
            if name.lower() in PARTICIPLES - VERBS:
                found.append(f"{where}: {name} is a participle: take a noun for a thing, a verb for an action")
    return found


def names_of_modules(sources: Mapping[str, str]) -> list[str]:
    """Public functions and classes that are called like the module that holds them."""
    found = []
    for where, source in sources.items():
        stem = where.rpartition("/")[2].removesuffix(".py")
        if stem in public_names(ast.parse(source), Function | ast.ClassDef):
            found.append(f"{where}: {stem} is called like its module")
    return found


def shared_names(sources: Mapping[str, str]) -> list[str]:
    """Public functions, classes and aliases that several modules define: a reader cannot tell which one is meant.

    Constants in capitals are left out: they are numbers of their module.
    """
    homes: dict[str, list[str]] = {}
    for where, source in sources.items():
        for name in public_names(ast.parse(source), ast.stmt):
            if not name.isupper():
                homes.setdefault(name, []).append(where)
    return [f"{name} is defined in {', '.join(places)}" for name, places in homes.items() if len(places) > 1]


def public_names(tree: ast.Module, kind: Any) -> list[str]:
    """The public names that statements of that kind define at the top level of a module."""
    chosen = [statement for statement in tree.body if isinstance(statement, kind)]
    defined = [statement.name for statement in chosen if isinstance(statement, Function | ast.ClassDef)]
    names = [*defined, *(name for statement in chosen for name, _ in bound(statement))]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def skeleton(function: Function) -> str:
    """A function without its name, docstring, annotations, the values of constants and the names of its variables."""
    whole = copy.deepcopy(function)
    named = [node.arg for node in ast.walk(whole) if isinstance(node, ast.arg)]
    named += [node.id for node in ast.walk(whole) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    turn = {name: f"v{place}" for place, name in enumerate(dict.fromkeys(named))}
    whole.name, whole.returns = "_", None
    whole.body = whole.body[ast.get_docstring(whole) is not None :]
    for node in ast.walk(whole):
        if isinstance(node, ast.arg):
            node.arg, node.annotation = turn[node.arg], None
        elif isinstance(node, ast.Name):
            node.id = turn.get(node.id, node.id)
        elif isinstance(node, ast.Constant):
            node.value = 0
    return ast.dump(whole)


def functions(tree: ast.AST) -> list[Function]:
    """Every function and method, nested ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def bound(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement binds, with what."""
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from ((node.id, statement.value) for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, statement.value


def changed(node: ast.AST) -> str:
    """The name whose content a piece of code changes; empty where it changes none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        return ast.unparse(node.func.value)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return ast.unparse(node.value)
    return ast.unparse(node.target) if isinstance(node, ast.AugAssign) else ""


def is_container(value: ast.expr) -> bool:
    """Whether an expression makes something whose content can be changed."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in CONTAINERS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
