"""Adds two directives to the pages: a figure beside the code that draws it, and the help texts of all commands.

Both are made while the site is built, so neither can differ from what the program does.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[1]
DRAWN = Path("_build") / "drawn"
"""Where the pictures are written, below `docs/`; the folder is not committed."""


class FigureCode(SphinxDirective):
    """Shows Python code and the figure that its last expression returns; blocks of a page share their names."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Runs the code in the repository's folder and returns the code and the picture."""
        source = "\n".join(self.content)
        space = self.env.temp_data.setdefault("figure_code", {})
        picture = DRAWN / f"{hashlib.sha256(f'{self.env.docname} {source}'.encode()).hexdigest()[:16]}.png"
        target = Path(self.env.srcdir) / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(last_value(source, space)._repr_png_())
        image = nodes.image(uri=f"/{picture.as_posix()}", alt=self.options["alt"], classes=["drawn"])
        return [nodes.literal_block(source, source, language="python"), image]


class CommandHelp(SphinxDirective):
    """Shows what `harness COMMAND --help` prints, a section for each command."""

    def run(self) -> list[nodes.Node]:
        """Returns the sections, in the order of the program's own help."""
        from harness.commands.help import COMMANDS, help_of

        return [self._section(name, purpose, help_of(name)) for name, purpose in COMMANDS.items()]

    def _section(self, name: str, purpose: str, text: str) -> nodes.section:
        section = nodes.section(ids=[f"harness-{name}"], names=[f"harness {name}"])
        section += nodes.title("", "", nodes.literal("", f"harness {name}"))
        section += nodes.paragraph("", f"{purpose[:1].upper()}{purpose[1:]}.")
        section += nodes.literal_block(text, text, language="text")
        self.state.document.note_explicit_target(section)
        return section


def last_value(source: str, space: dict[str, Any]) -> Any:
    """Runs statements and returns the value of the last, which must be an expression."""
    *rest, last = ast.parse(source).body
    assert isinstance(last, ast.Expr), f"the last line of this block is no expression: {source}"
    with inside(ROOT):
        exec(compile(ast.Module(rest, []), "figure", "exec"), space)
        return eval(compile(ast.Expression(last.value), "figure", "eval"), space)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Works in that folder during the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the directives to Sphinx."""
    app.add_directive("figure-code", FigureCode)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": False}
