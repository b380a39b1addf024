"""What is answered without the imports of trials: help, version, completion, and an output whose reader has left."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import options

from harness.__main__ import _PIPE_CLOSED
from harness.commands.help import COMMANDS, GROUPS, answer, completions, help_of, options_of
from harness.errors import BadInput

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "sklearn", "pandas", "matplotlib", "numpy", "wandb")
LINES = """
import sys
from harness.__main__ import main
sys.argv = ["harness", *{words}]
code = main()
print([name for name in {heavy} if name in sys.modules], code)
"""


def ask(words: list[str], folder: Path) -> str:
    """What a new interpreter prints for the words, and then the heavy packages that it has imported."""
    program = LINES.format(words=words, heavy=HEAVY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["report", "--help"], ["--complete", "x", "cl", ""]])
def test_a_question_is_answered_without_the_imports_of_trials(words: list[str], tmp_path: Path) -> None:
    said = ask(words, tmp_path)
    assert said.endswith("[] 0\n")
    assert not list(tmp_path.iterdir()), "a question leaves nothing behind"


def test_a_question_costs_little_processor_time(tmp_path: Path) -> None:
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    middle = spent()
    ask(["--help"], tmp_path)
    assert spent() - middle < (middle - before) / 2, "less than half of what importing torch alone takes"


def test_the_overview_names_all_commands_options_and_studies() -> None:
    said = str(answer(["--help"]))
    assert said == answer([]) == answer(["-m", "-h"])
    words = {word.strip(",:") for word in said.split()}
    assert set(COMMANDS) <= words
    assert {name for group in ("model", "weak", "clean", "augment") for name in options(group)} <= words
    assert {"quickstart", "roman_numerals", "youtube", "variance", *(group for group in GROUPS)} <= words
    assert max(map(len, said.splitlines())) <= 110


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    said = help_of(command)
    assert said.startswith(f"usage: harness {command}")
    assert len(said.splitlines()) > 2


def test_version_is_ours_and_names_what_numbers_depend_on() -> None:
    said = str(answer(["--version"]))
    assert said.startswith("harness 0.1.0 (Python 3.")
    assert "torch 2." in said


def test_completes_commands_groups_options_and_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "clean").mkdir(parents=True)
    (tmp_path / "conf" / "clean" / "confuse.yaml").write_text("_target_: mine.confuse\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "quick_one.yaml").write_text("study: x\n")
    assert completions("harness cl") == ["claims", "clean="]
    assert completions("harness -m cl") == ["clean="]
    assert completions("harness clean=conf") == ["clean=confident", "clean=confuse"]
    assert completions("harness clean=conf", "conf") == ["confident", "confuse"]
    assert completions("harness clean=", "=") == options_of("clean"), "bash asks for the sign itself"
    assert completions("harness -m experiments=quick", "quick") == ["quick_one", "quickstart"]
    assert completions("harness nothing=x") == []


def test_an_unknown_shell_is_told() -> None:
    with pytest.raises(BadInput, match=r"no completion for the shell 'fish'.*bash"):
        answer(["--completion", "fish"])
    assert "complete " in str(answer(["--completion"]))


def test_work_is_not_taken_for_a_question() -> None:
    assert answer(["-m", "experiments=quickstart"]) is None
    assert answer(["report", "quickstart"]) is None


def test_an_output_whose_reader_has_left_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "arms", "clean"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == _PIPE_CLOSED
