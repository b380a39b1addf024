"""The notebooks of `examples/` run from top to bottom, and the documentation shows the same calls."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SHOWN = {
    "own_data": ("own_data", 12, (r"\('(data|model|undecided)', Estimate\(value=", "are read as task=table")),
    "new_cleaning": ("new_cleaning", 18, ("mean", r"\[html \d+\]")),
    "essay_in_class": ("in_class", 15, (r"Estimate\(value=", "(Data|Model) wins|Undecided")),
}
"""Of each notebook the study that it runs, its trials, and what is shown beside them."""
RUN = """
import ast, sys
space = {"__name__": "__main__"}
for source in eval(sys.stdin.read()):  # the last expression of a cell is shown, as a notebook does
    *rest, last = ast.parse(source).body
    exec(compile(ast.Module(rest, []), "cell", "exec"), space)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
        html, png = (getattr(value, name, lambda: None)() for name in ("_repr_html_", "_repr_png_"))
        print(f"[html {len(html)}]" if html else f"[png {len(png)}]" if png else repr(value))
    else:
        exec(compile(ast.Module([last], []), "cell", "exec"), space)
"""


def cells(notebook: Path) -> list[str]:
    """The source of each code cell."""
    found = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def page_lines() -> list[str]:
    """The statements of the page on Python."""
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S)
    return [ast.unparse(one) for one in ast.parse(block).body]


def test_notebooks_hold_no_output() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(f"{name}.ipynb" for name in SHOWN)
    for notebook in NOTEBOOKS:
        code = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_page_shows_what_the_notebook_runs() -> None:
    run = [ast.unparse(one) for source in cells(ROOT / "examples" / "own_data.ipynb") for one in ast.parse(source).body]
    missing = [line for line in page_lines() if line not in run]
    assert missing == []
    assert len(page_lines()) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SHOWN))
def test_a_notebook_runs_and_shows_its_answers(name: str, tmp_path: Path) -> None:
    study, trials, shown = SHOWN[name]
    notebook = ROOT / "examples" / f"{name}.ipynb"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", RUN], input=repr(cells(notebook)), cwd=tmp_path,
        env=environment, text=True, capture_output=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{trials} trials, {trials} to run" in done.stderr
    assert "[png " in done.stdout
    assert "to find 2 points with power 0.8" in done.stdout
    for pattern in shown:
        assert re.search(pattern, done.stdout + done.stderr), done.stdout
    assert (tmp_path / "results" / study / "leaderboard.md").is_file()
