"""Defines the style of every figure: sizes, colours, marks, text that fits, and files of the same bytes each time.

All lengths are in inches, all type sizes in points. A figure is as wide as one column of a two-column paper (3.4) or
both (7.0). Each kind of arm has its own marker and each line its own dash, so that nothing depends on colour. Figures
are drawn and saved within `house()`, so that the user's own style has no effect.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.textpath import TextToPath

P = ParamSpec("P")
WIDTH, WIDE, MARGIN, GAP = 3.4, 7.0, 0.06, 0.08
LINE, TITLE, NOTE, AXIS = 0.105, 0.13, 0.092, 0.36
TEXT, SMALL, _SANE = 6.5, 5.5, 200
INK, FAINT, GRID, SHADE, WARN = "#222222", "#767676", "#d0d0d0", "#ececec", "#a02020"
MARKS = {"model": ("s", "#0072B2"), "data": ("o", "#D55E00"), "both": ("D", "#00795a"), "none": ("^", "#555555")}
"""Marker and colour by what an arm changes."""
AXES = {"model": "model", "data": "data", "both": "model and data", "none": "nothing (A/A)"}
"""What an arm changes, in words."""
COMBINED = "data: combined"
"""The heading of arms that change several factors of the data."""
STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": TEXT, "text.color": INK, "text.parse_math": False,
    "axes.linewidth": 0.6, "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "harness", "text.usetex": False,
    "hatch.linewidth": 0.4,
}  # fmt: skip
SAVED: Mapping[str, Mapping[str, Any]] = {
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    "png": {"metadata": {"Software": None}, "dpi": 300},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}
_COLOURS = ("#0072B2", "#D55E00", "#00795a", "#a3376f", "#b07d00", "#3a9bd6")
_DASHES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
_SHAPES = ("s", "o", "D", "^", "v", "p", "<", ">", "h", "P", "X")


@dataclass(frozen=True)
class Stroke:
    """Holds a line's colour, dash and marker; hollow for references."""

    colour: str
    dash: Any
    marker: str
    hollow: bool = False

    def line(self, x: Any, y: Any) -> Line2D:
        """Returns the line through those points, with few enough markers that they do not hide each other."""
        face = "white" if self.hollow else self.colour
        step = max(1, len(x) // 4)
        return Line2D(x, y, color=self.colour, linestyle=self.dash, linewidth=1.0, marker=self.marker, markersize=2.8,
                      markerfacecolor=face, markeredgewidth=0.7, markevery=step)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sheet:
    """Holds a figure with its title; positions are inches from its left edge and from below its heads."""

    figure: Figure
    head: float

    @property
    def width(self) -> float:
        """Returns the figure's width."""
        return float(self.figure.get_figwidth())

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Returns a plot at that place, with its spines, ticks and grid in the house's style."""
        total = self.figure.get_figheight()
        ax = self.figure.add_axes(
            (left / self.width, 1 - (self.head + top + height) / total, width / self.width, height / total)
        )
        for side in ("right", "top"):
            ax.spines[side].set_visible(False)
        ax.tick_params(labelsize=SMALL + 0.5, length=2, width=0.6, pad=2)
        ax.tick_params(which="minor", length=1.2, width=0.4)
        ax.grid(linewidth=0.3, color=GRID)
        ax.set_axisbelow(True)
        return ax

    def text(self, x: float, y: float, text: str, *, size: float = TEXT, color: str = INK, ha: str = "left",
             weight: str = "normal", va: str = "center_baseline", rotation: float = 0) -> Text:  # fmt: skip
        """Draws text at that position."""
        place = x / self.width, 1 - (self.head + y) / self.figure.get_figheight()
        return self.figure.text(
            *place, drawable(text), fontsize=size, color=color, ha=ha, va=va, weight=weight, rotation=rotation
        )

    def lines(self, x: float, y: float, lines: Sequence[str], *, size: float = SMALL, color: str = FAINT) -> None:
        """Draws lines of text below one another, the top of the first at `y`."""
        for number, line in enumerate(lines):
            self.text(x, y + NOTE * (number + 0.5), line, size=size, color=color)


def house() -> AbstractContextManager[None]:
    """Applies this style only, for drawing and saving, during the block."""
    return matplotlib.style.context(["default", STYLE], after_reset=True)


class Drawing(Mapping[str, bytes]):
    """Holds a figure as a file of each format of `SAVED`; a format is made when it is first asked for.

    A PDF takes as long as ten PNGs, since it carries its fonts, and few readers want one.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self._files: dict[str, bytes] = {}

    def __getitem__(self, kind: str) -> bytes:
        if kind not in self._files:
            with house():
                self._files[kind] = save_figure(self.figure, kind)
        return self._files[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(SAVED)

    def __len__(self) -> int:
        return len(SAVED)


def as_files(draw: Callable[P, Figure]) -> Callable[P, Drawing]:
    """Turns a function that draws a figure into one that returns it as files: PDF, PNG and SVG."""

    @wraps(draw)
    def render(*args: P.args, **kwargs: P.kwargs) -> Drawing:
        with house():
            return Drawing(draw(*args, **kwargs))

    return render


def save_figure(figure: Figure, kind: str) -> bytes:
    """Returns a figure's bytes in one format; without dates and versions, so equal figures give equal bytes."""
    buffer, saved = io.BytesIO(), dict(SAVED[kind])
    if kind == "png":
        saved["metadata"] = {**saved["metadata"], "Description": digest_of(figure)}
    figure.savefig(buffer, format=kind, **saved)
    return buffer.getvalue()


def digest_of(figure: Figure) -> str:
    """Returns a digest of what a figure shows: the data of its lines, areas, patches and images, and its texts.

    It is kept in each PNG, so that two pictures can be compared by what they show: pixels change with the version of
    matplotlib, data do not. Axes count by their limits. The figure is drawn first, which settles what depends on that.
    """
    figure.draw_without_rendering()
    parts: list[str] = [text.get_text() for text in figure.texts]
    for ax in figure.axes:
        parts += [_numbers([*ax.get_xlim(), *ax.get_ylim()])]
        parts += [_data_of(artist) for artist in ax.get_children() if artist is not ax.patch]
    return "drawn " + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _data_of(artist: Artist) -> str:
    """Returns the data of an artist as text; "" for axes' own parts."""
    kind = type(artist).__name__
    if isinstance(artist, Text):
        return artist.get_text()
    if isinstance(artist, Line2D):
        return kind + _numbers(artist.get_xydata())
    if isinstance(artist, Collection):
        return kind + "".join(_numbers(path.vertices) for path in artist.get_paths()) + _numbers(artist.get_offsets())
    if isinstance(artist, Patch):
        return kind + _numbers(artist.get_patch_transform().transform(artist.get_path().vertices))
    return kind + _numbers(artist.get_array()) if isinstance(artist, AxesImage) else ""


def _numbers(values: Any) -> str:
    """Returns numbers to five digits, which rounding on another machine leaves as they are."""
    return " ".join(f"{value:.5g}" for value in np.asarray(values, dtype=np.float64).ravel() + 0.0)


def sheet(title: str, head: str, note: str, *, width: float, height: float) -> Sheet:
    """Returns a figure of `height` inches between its heads (a bold title, a faint sentence) and its notes."""
    room = width - 2 * MARGIN
    titles, heads = wrap_lines(drawable(title), 0.86 * room, TEXT + 1), wrap_lines(drawable(head), room, SMALL)
    notes = wrap_lines(drawable(note), room, SMALL)
    above = MARGIN + TITLE * len(titles) + NOTE * len(heads) + 0.05
    page = Sheet(Figure(figsize=(width, above + height + NOTE * len(notes) + MARGIN)), above)
    for number, line in enumerate(titles):
        page.text(MARGIN, MARGIN - above + TITLE * (number + 0.5), line, size=TEXT + 1, weight="bold", va="center")
    page.lines(MARGIN, MARGIN - above + TITLE * len(titles), heads)
    page.lines(MARGIN, height, notes)
    return page


def blank(title: str, why: str, note: str, *, width: float = WIDTH) -> Figure:
    """Returns a figure that says in words why there is nothing to draw."""
    lines = wrap_lines(drawable(why), width - 2 * MARGIN, TEXT)
    page = sheet(title, "", note, width=width, height=LINE * len(lines) + 0.2)
    for number, line in enumerate(lines):
        page.text(MARGIN, 0.08 + LINE * (number + 0.5), line, color=WARN)
    return page.figure


def finite_rows(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Returns the rows with finite numbers in those columns, as floats; none if the frame is empty."""
    if frame.empty:
        return frame
    numbers = frame.astype(dict.fromkeys(columns, np.float64))
    return numbers.loc[np.isfinite(numbers[list(columns)].to_numpy()).all(1)].reset_index(drop=True)


def heading(axis: str, factors: Sequence[str]) -> str:
    """Returns a heading for arms that change the same factor, or several of the data."""
    if axis == "data" and factors:
        return f"data: {factors[0]}" if len(factors) == 1 else COMBINED
    return AXES.get(axis, AXES["none"])


def strokes(n: int) -> list[Stroke]:
    """Returns `n` line styles; colour, dash and marker have cycles of different lengths, so the first 66 differ."""
    shapes = (_SHAPES[place % len(_SHAPES)] for place in range(n))
    pairs = (divmod(place, len(_COLOURS)) for place in range(n))
    return [
        Stroke(_COLOURS[place], _DASHES[(place + turn) % len(_DASHES)], shape)
        for (turn, place), shape in zip(pairs, shapes, strict=True)
    ]


def key_columns(labels: Sequence[str], width: float) -> tuple[int, float]:
    """Returns the number of columns of a key within a width, and the width of each."""
    widest = max((inches(label, SMALL) for label in labels), default=0.0) + 0.36
    columns = max(1, min(len(labels), int(width / min(widest, width))))
    return columns, min(widest + 0.08, width / columns)


def key_height(labels: Sequence[str], width: float) -> float:
    """Returns the height of the key that `key` draws."""
    columns, room = key_columns(labels, width)
    counts = [len(fit_lines(label, room - 0.36, SMALL, 2)) for label in labels]
    return sum(max(counts[row : row + columns]) * NOTE + 0.02 for row in range(0, len(labels), columns))


def key(page: Sheet, left: float, top: float, width: float, labels: Sequence[str], lines: Sequence[Line2D]) -> None:
    """Draws a key in columns, each label in two lines at most, with samples of the lines."""
    columns, room = key_columns(labels, width)
    for row in range(0, len(labels), columns):
        texts = [fit_lines(label, room - 0.36, SMALL, 2) for label in labels[row : row + columns]]
        for column, (text, line) in enumerate(zip(texts, lines[row : row + columns], strict=True)):
            x, y = left + column * room, top + NOTE / 2
            ends = [place / page.width for place in (x, x + 0.12, x + 0.24)]
            height = 1 - (page.head + y) / page.figure.get_figheight()
            sample = Line2D(ends, [height] * 3, transform=page.figure.transFigure)
            sample.update_from(line)
            sample.set_transform(page.figure.transFigure)
            sample.set_markevery([1])
            sample.set_clip_path(None)
            page.figure.add_artist(sample, clip=False)
            page.lines(x + 0.29, top, text, color=INK)
        top += max(map(len, texts)) * NOTE + 0.02


def name_axis(axis: Any, words: str, room: float) -> None:
    """Labels a matplotlib axis with `words`, cut to fit into `room` inches."""
    axis.set_label_text(shorten(words.replace("_", " "), room, TEXT), fontsize=TEXT)
    axis.labelpad = 2


def signs(value: float, _: object = None) -> str:
    """Returns the label of a tick, with a sign except at 0."""
    return f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def counts(value: float, _: object = None) -> str:
    """Returns the short label of a tick of counts or costs: 1500 is 1.5k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def fit_lines(text: str, room: float, size: float, most: int) -> list[str]:
    """Breaks text into at most `most` lines that fit, at least one; the last one may lose its middle."""
    rest = _sane(text)
    lines = wrap_lines(rest, room, size)
    for line in lines[: most - 1]:
        rest = rest[len(line) :].lstrip()
    return lines if 0 < len(lines) <= most else [*lines[: most - 1], shorten(rest, room, size)]


def name_lines(text: str, room: float, size: float, most: int) -> list[str]:
    """Breaks the name of a combination before its plus signs, where each part fits; other text as `fit_lines` does."""
    lines = [""]
    for part in re.split(r" (?=\+ )", _sane(text)):
        line = f"{lines[-1]} {part}".strip()
        lines = [*lines[:-1], line] if not lines[-1] or inches(line, size) <= room else [*lines, part]
    fits = len(lines) <= most and all(inches(line, size) <= room for line in lines)
    return lines if fits else fit_lines(text, room, size, most)


def _sane(text: str) -> str:
    """Returns text that can be drawn, without the middle if it is far too long."""
    plain = drawable(text)
    return plain if len(plain) <= 2 * _SANE else f"{plain[:_SANE]}…{plain[-_SANE:]}"


def name_line(text: object) -> str:
    """Returns a name in one line that can be drawn; a placeholder if it is empty."""
    return drawable(str(text)) or "(no name)"


def shorten(text: str, room: float, size: float) -> str:
    """Returns one line that fits; an ellipsis replaces the middle of a long text, since names differ in their ends."""
    whole = _sane(text)
    head, tail = whole[:_SANE], whole[-_SANE:]
    while inches(whole, size) > room and len(head) + len(tail) > 2:
        head, tail = (head[:-1], tail) if len(head) > len(tail) else (head, tail[1:])
        if len(head) + len(tail) < len(whole) and inches(f"{head}…{tail}", size) <= room:
            return f"{head.rstrip()}…{tail.lstrip()}"
    return whole


def wrap_lines(text: str, inches_wide: float, size: float) -> list[str]:
    """Breaks text into lines that fit: at spaces, and within a word only if the word itself is too wide."""
    lines = [""]
    for word in text.split():
        for piece in [word] if inches(word, size) <= inches_wide else _parts(word, inches_wide, size):
            line = f"{lines[-1]} {piece}".strip()
            lines = [*lines[:-1], line] if inches(line, size) <= inches_wide else [*lines, piece]
    return [line for line in lines if line]


def _parts(word: str, room: float, size: float) -> list[str]:
    """Splits a word into parts that fit, preferably after a sign that joins two words."""
    parts = [""]
    for piece in re.findall(r"[^=,_/+.-]*[=,_/+.-]?", word):
        letters = [piece] if inches(piece, size) <= room else list(piece)
        for letter in letters:
            fits = inches(parts[-1] + letter, size) <= room
            parts = [*parts[:-1], parts[-1] + letter] if fits else [*parts, letter]
    return parts


def inches(text: str, size: float) -> float:
    """Returns the width of a text as it will be drawn."""
    return _measure(text)[0] * size / 10 / 72


@cache
def _measure(text: str) -> tuple[float, float, float]:
    return TextToPath().get_text_width_height_descent(drawable(text), _font(), ismath=False)


def _font() -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=10)


def drawable(text: str) -> str:
    """Returns text in one line with a replacement sign for each character that the font lacks."""
    font = get_font(findfont(_font()))
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return "".join(letter if font.get_char_index(ord(letter)) else "\N{REPLACEMENT CHARACTER}" for letter in plain)
