"""`harness check` on a user's own option: the documentation's example passes, and each way to break it is told in one line."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from harness.commands.cli import main

FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.S)
YAML = """# drops some rows
_target_: {module}.drop
_partial_: true
fits: {fits}
needs: {needs}
share: 0.1
"""
HEAD = "from dataclasses import replace\n\nimport numpy as np\n\n\ndef drop(train, tools, *, share):\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; nothing of it stays importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def own(folder: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Writes a cleaning option with that body, checks it, and returns the lines of the failed checks."""
    module = "own_" + re.sub(r"\W", "_", request.node.name)

    def check(body: str, fits: str = "[table]", needs: str = "[]", group: str = "clean") -> list[str]:
        (folder / "conf" / group).mkdir(parents=True)
        (folder / f"{module}.py").write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
        (folder / "conf" / group / "mine.yaml").write_text(YAML.format(module=module, fits=fits, needs=needs))
        importlib.invalidate_caches()
        code = main(["check", f"{group}=mine"])
        failed = capsys.readouterr().err.splitlines()
        assert code == (2 if failed else 0)
        return failed

    return check


def test_the_example_of_the_documentation_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in FILE.findall((ROOT / "docs" / "own_strategy.md").read_text()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    assert main(["check", "clean=least_sure", "clean.share=0.2", "model=tiny"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert re.search(r"^clean=least_sure: \d\d checks on image, text, table pass \(\d+\.\d s\)$", said.out, re.M)
    assert re.search(r"^model=tiny: \d+ checks on image pass \(\d+\.\d s\)$", said.out, re.M)


@pytest.mark.parametrize(
    ("body", "check", "message"),
    [
        ("train.y[0] = train.y[1]\nreturn train", "runs", "the input is read-only: copy an array before you write"),
        ("train.w.base[:] = 1\nreturn train", "input kept", "the input changed: copy an array before you write into it"),
        (
            "return train.rows(np.sort(np.random.permutation(len(train))[:80]))", "same seed, same result",
            "two calls with the same seed differ: draw from the generator that is passed in",
        ),
        (
            "return train.rows(np.sort(np.random.permutation(len(train))[:80]))", "global generators kept",
            "the global generator of numpy was used",
        ),
        (
            "return replace(train, ids=np.arange(len(train)).astype(str))", "sound result",
            "90 ids are not in the input, for example '0': keep train.ids",
        ),
        ("return replace(train, y=np.full((90, 4), 0.25, np.float32))", "sound result", "y has 4 columns: it must have 3"),
        (
            "voted = (train.votes >= 0).any(1)\nreturn train.rows(voted | ~train.labelled)", "needs declared",
            "the result depends on train.votes: declare `needs: [votes]` in the YAML",
        ),
        ("tools.pred_probs(train)\nreturn train", "runs", "its option must declare `needs: [probe]`"),
        ("return train.rows(train.labelled)", "rows without a label kept", "a row without a label was changed or dropped"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_told_in_one_line(
    own: Callable[..., list[str]], body: str, check: str, message: str
) -> None:
    with_check = [line for line in own(body) if f"FAILED {check} (table): expected " in line]
    assert len(with_check) == 1
    assert message in with_check[0]


WRONG_TYPES = {
    "float64": ("return replace(train, y=train.y.astype(np.float64))", "y is float64: it must be float32"),
    "short": ("return replace(train, w=train.w[:80])", "a TrainSet's columns differ in length"),
    "nothing": ("train.rows(train.w >= share)", "the result is a NoneType: it must be a TrainSet"),
}
"""Options whose result has the wrong type or shape, which the type checks of these tests would refuse before the check."""


def test_wrong_types_and_shapes_are_told_in_a_process_without_type_checks(folder: Path) -> None:
    (folder / "conf" / "clean").mkdir(parents=True)
    for name, (body, _) in WRONG_TYPES.items():
        (folder / f"own_{name}.py").write_text(f"{HEAD}    {body}\n")
        yaml = YAML.format(module=f"own_{name}", fits="[table]", needs="[]")
        (folder / "conf" / "clean" / f"{name}.yaml").write_text(yaml)
    code = (
        f"from harness.commands.cli import main\nprint([main(['check', f'clean={{n}}']) for n in {list(WRONG_TYPES)}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("[2, 2, 2]\n"), done.stderr
    for name, (_, message) in WRONG_TYPES.items():
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"clean={name}: FAILED")]
        assert [line for line in lines if message in line]


def test_a_need_that_is_never_used_is_told(own: Callable[..., list[str]]) -> None:
    [line] = own("return train", needs="[probe]")
    assert "needs declares probe (the probe's probabilities), which the strategy never asks for: leave it out" in line


def test_a_modality_that_it_cannot_handle_is_told_with_the_line_of_code(own: Callable[..., list[str]]) -> None:
    [line] = own("far = train.x.reshape(len(train), -1).mean(1) > 1e9\nreturn train.rows(~far)", fits="[text, table]")
    assert "FAILED runs (text): expected a result for this kind of rows" in line
    assert ".py:7 in drop: far = train.x.reshape(len(train), -1).mean(1) > 1e9" in line


def test_an_augmentation_of_ones_own_is_checked(own: Callable[..., list[str]]) -> None:
    body = "return replace(train, augment=lambda x, y, rng: (x.add_(float(rng.normal())), y))"
    lines = own(body, group="augment")
    assert [line.split(" (table)")[0] for line in lines] == ["augment=mine: FAILED batch function"]
    assert "the augmentation changed the batch that it was given" in lines[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no option to check is chosen: write harness check clean=NAME"),
        (["confident"], "'confident' is not an override: write harness check clean=NAME"),
        (["clean=confidnt"], "clean has no option 'confidnt'; did you mean 'confident'?"),
        (["clean=random", "clean.handle=dorp"], "clean.handle is 'dorp'; did you mean 'drop'?"),
    ],
)
def test_bad_words_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"harness: {message}")
