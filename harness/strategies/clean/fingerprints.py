"""Finds equal and similar rows: hashes that equal rows share, and links between similar rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from harness.checks import one_of, within
from harness.data import Rows, row_hashes, take
from harness.tables import is_raw

BITS = 64
"""Number of bits of a perceptual hash."""
PERMUTATIONS = 128
"""Number of minima in a MinHash: the standard error of a similarity is at most 1 / sqrt(128) / 2 = 0.044."""
WAYS = ("exact", "keys", "pictures", "texts")
"""Ways to compare rows: the whole content, `columns` of a table, perceptual hashes, MinHash bands of texts."""
HASH_CHUNK = 2048
"""Rows compared at a time."""
Links = Iterator[tuple[np.ndarray, np.ndarray]]
"""Pairs of rows that count as the same, as two arrays of row numbers."""


def signatures(x: Rows, way: str, parameters: Mapping[str, Any]) -> Int64[np.ndarray, "n s"]:
    """Returns the numbers (n, s) of each row by one of `WAYS`: rows that share one are taken for the same.

    `parameters` are those of `keys` (columns, decimals), `ball` (distance) or `bands` (shingle, threshold); the way
    `exact` has none.
    """
    one_of("way", way, WAYS)
    ways: Mapping[str, Callable[..., np.ndarray]] = {
        "exact": row_hashes,
        "keys": keys,
        "pictures": ball,
        "texts": bands,
    }
    return ways[way](x, **parameters).reshape(len(x), -1)


def alike_rows(x: Rows, others: Rows, way: str, parameters: Mapping[str, Any]) -> Bool[np.ndarray, " n"]:
    """Returns True for each row of `x` that shares a signature with one of the others."""
    return np.asarray(np.isin(signatures(x, way, parameters), signatures(others, way, parameters)).any(1))


def keys(x: Rows, columns: Sequence[str | int] | None, decimals: int) -> Int64[np.ndarray, " n"]:
    """Returns one hash per row of a table, of those columns (names of raw cells, else numbers from 0; None: all).

    Numbers are rounded to `decimals`; other cells are compared without case and without needless spaces.
    """
    if not is_raw(x):
        chosen = range(x.shape[1]) if columns is None else columns
        _known(chosen, range(x.shape[1]))
        return row_hashes(np.round(np.asarray(x)[:, np.array(chosen, dtype=np.int64)], decimals) + 0.0)  # -0.0 is 0.0
    names = x.dtype.names if columns is None else columns
    _known(names, x.dtype.names)
    cells = zip(*([_plain(cell, decimals) for cell in x[name].tolist()] for name in names), strict=True)
    return row_hashes(np.array(["\x1f".join(row) for row in cells], dtype=object))


def _known(chosen: Sequence[str | int], there: Sequence[str | int]) -> None:
    """Raises BadInput for a column that the table does not have."""
    for column in chosen:
        if column not in there:
            one_of("clean.columns", str(column), [str(name) for name in there])


def _plain(cell: str, decimals: int) -> str:
    try:
        return str(round(float(cell), decimals) + 0.0)
    except ValueError:
        return " ".join(cell.casefold().split())


def perceptual(x: Rows) -> Bool[np.ndarray, "n bits"]:
    """Returns the perceptual hash of each picture (n, h, w, 1 or 3): 64 signs of low frequencies, by imagehash."""
    import imagehash
    from PIL import Image

    found = []
    for start in range(0, len(x), HASH_CHUNK):
        for pixels in np.asarray(take(x, np.arange(start, min(start + HASH_CHUNK, len(x))))):
            found.append(imagehash.phash(Image.fromarray(pixels.squeeze())).hash.ravel())
    return np.array(found, dtype=bool).reshape(-1, BITS)


def close_pictures(x: Rows, distance: int) -> Links:
    """Yields links between pictures whose perceptual hashes differ in at most `distance` of 64 bits."""
    within("clean.distance", distance, 0, BITS)
    signs = np.where(perceptual(x), 1, -1).astype(np.float32)
    for start in range(0, len(signs), HASH_CHUNK):
        near = signs[start : start + HASH_CHUNK] @ signs.T >= BITS - 2 * distance
        first, second = np.nonzero(near)
        yield first + start, second


def ball(x: Rows, distance: int) -> Int64[np.ndarray, "n s"]:
    """Returns numbers (n, s); two pictures share one if and only if their hashes differ in at most `distance` bits.

    They are the hashes within half the distance of a picture's own: two such balls meet half-way or not at all. So
    the distance is even: 0, 2 or 4; a hash with as many ones as zeros differs in an even number of bits anyway.
    """
    one_of("clean.distance", str(distance), ("0", "2", "4"))
    own = np.packbits(perceptual(x), axis=1).view(np.int64)  # (n, 1)
    place = np.left_shift(np.int64(1), np.arange(BITS, dtype=np.int64))
    flips = chain.from_iterable(combinations(place, size) for size in range(distance // 2 + 1))
    return own ^ np.array([sum(map(int, flip)) & (2**BITS - 1) for flip in flips], dtype=np.uint64).view(np.int64)


def shingles(text: str, size: int) -> set[str]:
    """Returns the runs of `size` characters of a text without case and needless spaces; the whole text if it is
    shorter.
    """
    plain = " ".join(text.casefold().split())
    return {plain[start : start + size] for start in range(max(1, len(plain) - size + 1))}


def bands(x: Rows, shingle: int, threshold: float) -> Int64[np.ndarray, "n s"]:
    """Returns hashes (n, s), one per band of each text's MinHash (Broder, 1997): texts that share one are probably
    similar.

    The bands are as wide as datasketch finds best for that Jaccard similarity of the sets of shingles: the chance to
    share one climbs steeply around `threshold`, but a few pairs beneath share one, and a few above none.
    """
    from datasketch import MinHash, MinHashLSH

    within("clean.threshold", threshold, 0.1, 1)
    within("clean.shingle", shingle, 1, 100)
    plan = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    sets = [[run.encode() for run in sorted(shingles(str(text), shingle))] for text in np.asarray(x)]
    minima = np.array([made.hashvalues for made in MinHash.generator(sets, num_perm=PERMUTATIONS)])
    cut = minima[:, : plan.b * plan.r].reshape(len(x), plan.b, plan.r)
    # A number of the band goes in, since equal minima in two different bands mean nothing.
    numbered = [[np.append(band, place).tobytes() for place, band in enumerate(row)] for row in cut]
    hashed = [[hashlib.blake2b(band, digest_size=8).digest() for band in row] for row in numbered]
    return np.frombuffer(b"".join(chain.from_iterable(hashed)), dtype=np.int64).reshape(len(x), plan.b)


def close_texts(x: Rows, shingle: int, threshold: float) -> Links:
    """Yields links between texts that share a band and whose shingles have a Jaccard similarity of `threshold`."""
    found, texts = bands(x, shingle, threshold), np.asarray(x)
    sets = [shingles(str(text), shingle) for text in texts]
    seen: set[tuple[int, int]] = set()
    for column in found.T:
        order = np.argsort(column, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(column[order])) + 1):
            seen.update(_alike_first(group.tolist(), sets, threshold))
    pairs = np.array(sorted(seen), dtype=np.int64).reshape(-1, 2)
    yield pairs[:, 0], pairs[:, 1]


def _alike_first(group: Sequence[int], sets: Sequence[set[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Yields the pairs of a bucket that are really similar; texts with equal shingles are compared once."""
    first = {frozenset(sets[row]): row for row in reversed(group)}
    yield from ((first[frozenset(sets[row])], row) for row in group)
    for one, two in combinations(first.values(), 2):
        if len(sets[one] & sets[two]) >= threshold * len(sets[one] | sets[two]):
            yield one, two


def link_groups(n: int, links: Links) -> Int64[np.ndarray, " n"]:
    """Returns a group number for each of the n rows: rows joined by a chain of links share it."""
    pairs = list(links)
    first, second = (np.concatenate([pair[side] for pair in pairs]) if pairs else np.zeros(0, int) for side in (0, 1))
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def salted_numbers(ids: np.ndarray, salt: int) -> Int64[np.ndarray, " n"]:
    """Returns a number for each id that depends only on id and salt: a draw that no order of rows can change."""
    hashed = [hashlib.blake2b(f"{salt}/{name}".encode(), digest_size=8).digest() for name in ids.tolist()]
    return np.frombuffer(b"".join(hashed), dtype=np.int64)
