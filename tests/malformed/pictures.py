"""Malformed folders of pictures: one folder a class."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.data import Source, Task

from .cases import ALONE, Case, Ran, chosen
from .tables import MODEL_WORDS, PLAIN, quoted, read_option

SIZE = 8
CLASSES = ("cat", "dog")
EACH = 12
Pixels = np.ndarray
Place = tuple[str | bytes, ...]
"""Folders and the name of a file; bytes where the name is no UTF-8."""


@dataclass
class Album:
    """Files by place, and what should be read: the pixels and the class of each picture."""

    rng: random.Random
    files: dict[Place, bytes | str | None] = field(default_factory=dict)
    """Contents; a text is the target of a link, None a named pipe."""
    pictures: dict[Place, tuple[str, Pixels | None]] = field(default_factory=dict)
    """Pixels are None where nobody can say which are right."""
    folders: list[Place] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    may: bool = False
    words: dict[str, Any] = field(default_factory=dict)
    changed: set[Place] = field(default_factory=set)

    def add(self, place: Place, label: str, pixels: Pixels, content: bytes | None = None) -> None:
        self.files[place] = png(pixels) if content is None else content
        self.pictures[place] = (label, pixels)

    def some(self) -> Place:
        """Returns a picture that no fault has changed yet."""
        place = self.rng.choice(sorted(set(self.pictures) - self.changed, key=repr))
        self.changed.add(place)
        return place

    def swap(self, content: Callable[[Pixels], bytes], ending: str = ".png", keeps: bool = True) -> Place:
        """Replaces a picture's file by another with the same pixels (or, unless it `keeps` them, unknown ones)."""
        place = self.some()
        label, pixels = self.pictures.pop(place)
        self.files.pop(place)
        assert pixels is not None
        new = (*place[:-1], str(place[-1]).rpartition(".")[0] + ending)
        self.files[new] = content(pixels)
        self.changed.add(new)
        self.pictures[new] = (label, pixels if keeps else None)
        return new


@dataclass(frozen=True)
class Fault:
    """A change of an album; faults of one slot exclude each other."""

    apply: Callable[[Album], None]
    slot: str

    @property
    def name(self) -> str:
        return self.apply.__name__


def drawn(rng: random.Random, bright: bool) -> Pixels:
    """Returns a picture (8, 8, 3) that no other has: bright ones are dogs."""
    low = 128 if bright else 0
    return np.array([rng.randrange(low, low + 128) for _ in range(SIZE * SIZE * 3)], dtype=np.uint8).reshape(
        SIZE, SIZE, 3
    )


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels: Pixels) -> bytes:
    return saved(Image.fromarray(pixels), "PNG")


def cut(album: Album) -> None:
    kind, ending = album.rng.choice([("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("BMP", ".bmp"), ("WEBP", ".webp"), ("TIFF", ".tif"), ("PPM", ".ppm")])  # fmt: skip
    share = album.rng.random() * 0.6
    place = album.swap(lambda pixels: (raw := saved(Image.fromarray(pixels), kind))[: int(len(raw) * share)], ending)
    album.refused += [str(place[-1]), "broken"]


def no_bytes(album: Album) -> None:
    place = album.swap(lambda pixels: b"")
    album.refused += [str(place[-1])]


def junk(album: Album) -> None:
    content = album.rng.choice([b"no picture", b"<svg/>", os.urandom(400), b"%PDF", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0"])  # fmt: skip
    place = album.swap(lambda pixels: content)
    album.refused += [str(place[-1])]


def damaged(album: Album) -> None:
    """Nobody can say what damaged pictures show: they are read or refused."""
    kind, ending = album.rng.choice([("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("BMP", ".bmp"), ("WEBP", ".webp"), ("TIFF", ".tif")])  # fmt: skip

    def change(pixels: Pixels) -> bytes:
        raw = bytearray(saved(Image.fromarray(pixels), kind))
        for _ in range(album.rng.randint(1, 12)):
            raw[album.rng.randrange(len(raw))] = album.rng.randrange(256)
        return bytes(raw)

    album.swap(change, ending, keeps=False)
    album.may = True


def huge_header(album: Album) -> None:
    side = album.rng.choice([15_000, 30_000, 60_000, 2**31 - 1])
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    raw = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in body
    )
    place = album.swap(lambda pixels: raw)
    album.refused += [str(place[-1])]


def other_format(album: Album) -> None:
    kind, ending = album.rng.choice([("BMP", ".bmp"), ("TIFF", ".tiff"), ("PPM", ".ppm"), ("WEBP", ".webp")])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    album.swap(lambda pixels: saved(Image.fromarray(pixels), kind, **options), ending)


def wrong_ending(album: Album) -> None:
    """The content counts, not the name."""
    album.swap(png, album.rng.choice([".jpg", ".bmp", ".gif", ".JPEG", ".PNG"]))


def unknown_ending(album: Album) -> None:
    place = album.swap(png, album.rng.choice([".heic", ".svg", ".dng", ".jpg2", ".avif_"]))
    album.pictures.pop(place)
    album.said.append("not read: 1 other file")


def palette(album: Album) -> None:
    """A picture of 4 colours as a palette, which is the same picture."""
    place = album.some()
    pixels = (album.pictures[place][1] // 128 * 128).astype(np.uint8)  # type: ignore[operator]
    image = Image.fromarray(pixels).quantize(16, dither=Image.Dither.NONE)
    shown = np.asarray(image.convert("RGB"))
    album.add(place, album.pictures[place][0], shown, saved(image, "PNG"))


def grey(album: Album) -> None:
    place = album.some()
    pixels = np.repeat(album.pictures[place][1][:, :, :1], 3, axis=2)  # type: ignore[index]
    album.add(place, album.pictures[place][0], pixels, saved(Image.fromarray(pixels[:, :, 0]), "PNG"))


def black_and_white(album: Album) -> None:
    place = album.some()
    bits = album.pictures[place][1][:, :, 0] % 2 == 0  # type: ignore[index]
    shown = np.repeat((bits * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    album.add(place, album.pictures[place][0], shown, saved(Image.fromarray(bits), "PNG"))


def opaque_alpha(album: Album) -> None:
    place = album.some()
    pixels = album.pictures[place][1]
    assert pixels is not None
    image = Image.fromarray(np.dstack([pixels, np.full((SIZE, SIZE, 1), 255, np.uint8)]))
    album.add(place, album.pictures[place][0], pixels, saved(image, "PNG"))


def transparent(album: Album) -> None:
    """Nothing is seen of it: it is white."""
    place = album.some()
    pixels = album.pictures[place][1]
    assert pixels is not None
    image = Image.fromarray(np.dstack([pixels, np.zeros((SIZE, SIZE, 1), np.uint8)]))
    album.add(place, album.pictures[place][0], np.full_like(pixels, 255), saved(image, "PNG"))


def sixteen_bits(album: Album) -> None:
    place = album.some()
    high = album.pictures[place][1][:, :, 0]  # type: ignore[index]
    image = Image.fromarray(high.astype(np.uint16) * 256 + 7)
    album.add(place, album.pictures[place][0], np.repeat(high[:, :, None], 3, axis=2), saved(image, "PNG"))


def print_colours(album: Album) -> None:
    album.swap(lambda pixels: saved(Image.fromarray(pixels).convert("CMYK"), "TIFF"), ".tif")


def several_frames(album: Album) -> None:
    """The first frame is the picture."""
    other = Image.new("RGB", (SIZE, SIZE), "red")
    album.swap(lambda pixels: saved(Image.fromarray(pixels), "TIFF", save_all=True, append_images=[other]), ".tiff")


def one_pixel(album: Album) -> None:
    place = album.some()
    colour = album.pictures[place][1][:1, :1]  # type: ignore[index]
    album.add(place, album.pictures[place][0], np.broadcast_to(colour, (SIZE, SIZE, 3)).copy(), png(colour.copy()))


def other_sizes(album: Album) -> None:
    place = album.some()
    high, wide = album.rng.choice([(1, 400), (300, 2), (64, 64), (7, 9), (1200, 900)])
    pixels = np.full((high, wide, 3), album.rng.randrange(256), np.uint8)
    album.add(place, album.pictures[place][0], np.full((SIZE, SIZE, 3), pixels[0, 0, 0]), png(pixels))


def turned(album: Album) -> None:
    """A camera's note says how it is held: the pixels are stored turned."""
    exif = Image.Exif()
    exif[0x0112] = 3
    album.swap(lambda pixels: saved(Image.fromarray(np.ascontiguousarray(pixels[::-1, ::-1])), "PNG", exif=exif))


def hidden_files(album: Album) -> None:
    for name in (".DS_Store", "._a.png", "Thumbs.db", "desktop.ini"):
        album.files["cat", name] = b"a tool's own"
    album.files["__MACOSX", "cat", "a.png"] = b"a tool's own"


def other_files(album: Album) -> None:
    album.files["README.txt",] = b"of my cats"
    album.files["cat", "labels.xml"] = b"<labels/>"
    album.said.append("not read: 2 other files")


def stray_picture(album: Album) -> None:
    album.files["cover.png",] = png(drawn(album.rng, True))
    album.said.append("in no class folder")


def empty_class(album: Album) -> None:
    album.folders.append(("ferret",))
    album.said.append("ferret")


def one_class(album: Album) -> None:
    for place in [place for place, (label, _) in album.pictures.items() if label != "cat"]:
        album.pictures.pop(place), album.files.pop(place)
    album.refused += ["cat"]


def nested(album: Album) -> None:
    place = album.some()
    label, pixels = album.pictures.pop(place)
    content = album.files.pop(place)
    new = (*place[:-1], "2021", "may", place[-1])
    album.files[new], album.pictures[new] = content, (label, pixels)


def link_in_a_circle(album: Album) -> None:
    album.files["cat", "again"] = album.rng.choice(["..", ".", "../cat", "again"])


def link_to_nothing(album: Album) -> None:
    album.files["dog", "lost.png"] = "nowhere.png"
    album.refused += ["lost.png"]


def link_to_a_picture(album: Album) -> None:
    place = album.some()
    _, pixels = album.pictures[place]
    album.files["cat", "linked.png"] = os.path.join("..", *map(str, place))
    album.pictures["cat", "linked.png"] = ("cat", pixels)


def pipe(album: Album) -> None:
    album.files["dog", "pipe.png"] = None
    album.refused += ["pipe.png"]


def folder_called_as_a_picture(album: Album) -> None:
    album.folders.append(("dog", "folder.png"))


def odd_name(album: Album) -> None:
    place = album.some()
    label, pixels = album.pictures.pop(place)
    content = album.files.pop(place)
    name = album.rng.choice(["a[1].png", "a*?.png", "ä ö.png", "a\nb.png", "-rf.png", "$HOME.png", "'.png", "🐈.png", "a=b.png", "x" * 200 + ".png", "%s.png", "~.png", "a\\b.png"])  # fmt: skip
    album.files[*place[:-1], name], album.pictures[*place[:-1], name] = content, (label, pixels)
    album.changed.add((*place[:-1], name))


def name_of_bytes(album: Album) -> None:
    place = album.some()
    label, pixels = album.pictures.pop(place)
    content = album.files.pop(place)
    new = (*place[:-1], b"caf\xe9.png")
    album.files[new], album.pictures[new] = content, (label, pixels)
    album.changed.add(new)
    album.refused += ["UTF-8"]


def class_of_bytes(album: Album) -> None:
    album.files[b"caf\xe9", "a.png"] = png(drawn(album.rng, True))
    album.refused += ["UTF-8"]


def odd_class(album: Album) -> None:
    name = album.rng.choice(["[cat]", "cats*", "big cat", "c=d", "01", "None", "-cat", "🐈", "${cat}", "a,b", "Cat"])
    for place in [place for place in album.pictures if place[0] == "cat"]:
        _, pixels = album.pictures.pop(place)
        album.files[name, *place[1:]] = album.files.pop(place)
        album.pictures[name, *place[1:]] = (name, pixels)


def many_of_one_name(album: Album) -> None:
    for label in CLASSES:
        album.add((label, "IMG_0001.png"), label, drawn(album.rng, label == "dog"))


def repeated(album: Album) -> None:
    place = album.some()
    label, pixels = album.pictures[place]
    album.files[label, "copy.png"], album.pictures[label, "copy.png"] = album.files[place], (label, pixels)


def test_of_other_classes(album: Album) -> None:
    for place in list(album.pictures):
        album.files["train", *place], album.pictures["train", *place] = (
            album.files.pop(place),
            album.pictures.pop(place),
        )
    for number in range(3):
        for label in (*CLASSES, "wolf"):
            album.files["test", label, f"{number}.png"] = png(drawn(album.rng, True))
    album.refused += ["wolf"]


def size_wrong(album: Album) -> None:
    album.words["image_size"] = album.rng.choice([0, -3])
    album.refused += ["image_size"]


def colour_wrong(album: Album) -> None:
    album.words["color"] = album.rng.choice(["blue", "RGB", "gray", ""])
    album.refused += ["color"]


def no_pictures(album: Album) -> None:
    album.files.clear(), album.pictures.clear()
    album.folders += [("cat",), ("dog",)]
    album.refused += ["task.path", "no file"]


def tables_beside(album: Album) -> None:
    album.files["labels.csv",] = b"image,label\ncat/0.png,cat\n"
    album.refused += ["kinds"]


FAULTS = (
    Fault(odd_class, "class"), Fault(nested, "nested"), Fault(odd_name, "name"), Fault(name_of_bytes, "name"),
    Fault(cut, "bytes"), Fault(no_bytes, "bytes"), Fault(junk, "bytes"), Fault(huge_header, "header"), Fault(other_format, "format"),
    Fault(wrong_ending, "ending"), Fault(unknown_ending, "ending"), Fault(palette, "mode"), Fault(grey, "mode"),
    Fault(black_and_white, "mode"), Fault(opaque_alpha, "mode"), Fault(transparent, "mode"), Fault(sixteen_bits, "mode"),
    Fault(several_frames, "mode"), Fault(one_pixel, "size"), Fault(other_sizes, "size"), Fault(turned, "turned"), Fault(print_colours, "format"),
    Fault(hidden_files, "hidden"), Fault(other_files, "ending"), Fault(stray_picture, "stray"), Fault(empty_class, "class"),
    Fault(link_in_a_circle, "links"), Fault(link_to_nothing, "links"), Fault(link_to_a_picture, "links"),
    Fault(pipe, "pipe"), Fault(folder_called_as_a_picture, "folder"),
    Fault(class_of_bytes, "class"), Fault(many_of_one_name, "twice"), Fault(repeated, "twice"),
    Fault(size_wrong, "words"), Fault(colour_wrong, "words"), Fault(one_class, ALONE), Fault(no_pictures, ALONE),
    Fault(tables_beside, ALONE), Fault(test_of_other_classes, ALONE), Fault(damaged, ALONE), Fault(damaged, ALONE),
)  # fmt: skip


def case(seed: int) -> Case:
    """Returns the malformed folder of pictures of a seed."""
    rng = random.Random(f"picture {seed}")
    album = Album(rng)
    for label in CLASSES:
        for number in range(EACH):
            album.add((label, f"{number}.png"), label, drawn(rng, label == "dog"))
    faults = chosen(rng, FAULTS, 3)
    for fault in faults:
        fault.apply(album)
    words = {"path": "pics", "image_size": SIZE, "test_fraction": 0.25, "valid_fraction": 0.25, **album.words}
    return Case(
        "picture", seed, tuple(fault.name for fault in faults), lambda folder: write(album, folder / "pics"),
        ("task=folder", *(f"task.{name}={quoted(value)}" for name, value in words.items()), *MODEL_WORDS, *PLAIN),
        tuple(album.refused), lambda ran: wrong(ran, album), album.may, read=None if "color" in words else lambda: read(words),  # its type is checked before it is read
    )  # fmt: skip


def read(words: dict[str, Any]) -> tuple[Task, Source]:
    return read_option("folder", words)


def write(album: Album, folder: Path) -> None:
    """Writes an album's files; names of bytes are written as they are."""
    root = os.fsencode(folder)
    for place in album.folders:
        os.makedirs(os.path.join(root, *map(os.fsencode, place)), exist_ok=True)
    for place, content in album.files.items():
        path = os.path.join(root, *map(os.fsencode, place))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if content is None:
            os.mkfifo(path)
        elif isinstance(content, str):
            os.symlink(content, path)
        else:
            Path(os.fsdecode(path)).write_bytes(content)


def wrong(ran: Ran, album: Album) -> str:
    """Returns what was read otherwise than the album says: counts by class, and the pixels if the task is at hand."""
    lacking = [text for text in album.said if text not in ran.err]
    if lacking:
        return f"not said: {lacking}"
    counts = Counter(label for label, _ in album.pictures.values())
    sentence = f"train: {sum(counts.values())} rows, given labels: " + ", ".join(
        f"{name} {counts[name]}" for name in sorted(counts)
    )
    if sentence not in ran.err:
        return f"expected '{sentence}'"
    if ran.task is None:
        return ""
    task = ran.task
    shown = [(task.classes[c], np.asarray(x).tobytes()) for part in (task.train, task.valid, task.test) for x, c in zip(part.x, classes_of(part), strict=True)]  # fmt: skip
    expected = Counter((label, pixels.tobytes()) for label, pixels in album.pictures.values() if pixels is not None)
    missing = expected - Counter(shown)
    return f"{missing.total()} pictures have other pixels or another class" if missing else ""


def classes_of(part: Any) -> np.ndarray:
    return part.classes if hasattr(part, "classes") else part.y
