"""Augments texts with words from a lexicon: WordNet, a file, or the training texts themselves.

Replacement and insertion follow EDA (Wei & Zou 2019); words are separated by white space.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor

from harness.checks import one_of, within
from harness.data import TrainSet
from harness.errors import BadInput
from harness.storage import reader
from harness.strategies import Tools, compose

Draw = Callable[[str, np.random.Generator], str]
"""Maps a word to a replacement without punctuation; empty if the lexicon has none."""
LEXICONS = ("wordnet", "file", "unigrams")
_PARTS = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)


def replace_words(train: TrainSet, tools: Tools, *, alpha: float, lexicon: str, path: str | None) -> TrainSet:
    """Replaces a share `alpha` of a text's words, at least one, by words of the lexicon (EDA's synonym replacement).

    `lexicon` is `wordnet`; `file`, where `path` names lines `word<TAB>synonym,synonym`; or `unigrams`, a word of the
    training texts in proportion to its frequency, regardless of meaning (unigram noising, Xie et al. 2017). Stop
    words and words outside the lexicon stay. BadInput if the lexicon is not there.
    """
    within("alpha", alpha, 0.0, 1.0)
    step = partial(_replace, alpha=alpha, draw=_drawer(train, lexicon, path))
    return replace(train, augment=compose(train.augment, step))


def insert_words(train: TrainSet, tools: Tools, *, alpha: float, lexicon: str, path: str | None) -> TrainSet:
    """Inserts as many words of the lexicon at random places, each related to a word of the text (EDA's random
    insertion).
    """
    within("alpha", alpha, 0.0, 1.0)
    step = partial(_insert, alpha=alpha, draw=_drawer(train, lexicon, path))
    return replace(train, augment=compose(train.augment, step))


def _replace(
    x: Sequence[str], y: Tensor, rng: np.random.Generator, *, alpha: float, draw: Draw
) -> tuple[list[str], Tensor]:
    return [_replaced(str(text), rng, alpha, draw) for text in x], y


def _replaced(text: str, rng: np.random.Generator, alpha: float, draw: Draw) -> str:
    words = text.split()
    left = _most(words, alpha)
    for place in rng.permutation(len(words)).tolist():
        new = draw(words[place], rng) if left else ""
        if new:
            before, _, after = around(words[place])
            words[place], left = f"{before}{new}{after}", left - 1
    return " ".join(words) if left < _most(words, alpha) else text


def _insert(
    x: Sequence[str], y: Tensor, rng: np.random.Generator, *, alpha: float, draw: Draw
) -> tuple[list[str], Tensor]:
    return [_inserted(str(text), rng, alpha, draw) for text in x], y


def _inserted(text: str, rng: np.random.Generator, alpha: float, draw: Draw) -> str:
    words = text.split()
    drawn = (draw(words[place], rng) for place in rng.permutation(len(words)).tolist())
    found = [new for new in drawn if new][: _most(words, alpha)]
    for new in found:
        words.insert(int(rng.integers(len(words) + 1)), new)
    return " ".join(words) if found else text


def _most(words: Sequence[str], alpha: float) -> int:
    """Returns how many words change: a share of them, at least one unless the share is 0."""
    return max(1, int(alpha * len(words))) if alpha and words else 0


def around(word: str) -> tuple[str, str, str]:
    """Splits a word into leading punctuation, the word, trailing punctuation."""
    found = _PARTS.fullmatch(word)
    return (found[1], found[2], found[3]) if found else ("", word, "")


def _drawer(train: TrainSet, lexicon: str, path: str | None) -> Draw:
    """Looks up the words of the training texts in the lexicon, once."""
    one_of("lexicon", lexicon, LEXICONS)
    tokens = [around(word)[1].lower() for text in train.rows(train.labelled).x for word in str(text).split()]
    if lexicon == "unigrams":
        pool = np.array([token for token in tokens if token and token not in ENGLISH_STOP_WORDS])
        return partial(_any_word, pool=pool)
    wanted = {token for token in tokens if token} - ENGLISH_STOP_WORDS
    synonyms = _wordnet(wanted) if lexicon == "wordnet" else _from_file(path)
    known = {word: sorted(set(synonyms.get(word, [])) - {word}) for word in wanted}
    if not any(known.values()):
        raise BadInput(
            f"the lexicon ({path or lexicon}) has a synonym for none of the {len(wanted)} words of the training texts, "
            "so that no text would change: name another one with augment.path=FILE"
        )
    return partial(_synonym, known=known)


def check_lexicon(train: TrainSet, tools: Tools, *, lexicon: str, path: str | None) -> None:
    """Raises BadInput if the lexicon is not there, or knows no word of the training texts."""
    _drawer(train if train.labelled.any() else replace(train, w=np.ones_like(train.w)), lexicon, path)


def _synonym(word: str, rng: np.random.Generator, *, known: Mapping[str, Sequence[str]]) -> str:
    found = known.get(around(word)[1].lower(), [])
    return found[int(rng.integers(len(found)))] if found else ""


def _any_word(word: str, rng: np.random.Generator, *, pool: np.ndarray) -> str:
    bare = around(word)[1].lower()
    return str(pool[rng.integers(len(pool))]) if bare and bare not in ENGLISH_STOP_WORDS and len(pool) else ""


def _wordnet(words: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Returns synonyms from WordNet (Miller 1995) through nltk: every name of every sense, of any part of speech."""
    import nltk

    try:
        folder = nltk.data.find("corpora/wordnet")
    except LookupError as error:
        raise BadInput(
            "lexicon=wordnet needs WordNet's files, which are not on this disk: run "
            "`python -m nltk.downloader wordnet` once where there is a network, or set augment.lexicon=file "
            "augment.path=FILE"
        ) from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The multilingual functions are not available")  # Only English is asked for.
        reader = nltk.corpus.reader.WordNetCorpusReader(folder, None)
    senses = {word: reader.synsets(word) for word in words}
    for file in reader._data_file_map.values():  # nltk leaves them open otherwise.
        file.close()
    return {
        word: [name.replace("_", " ").lower() for sense in found for name in sense.lemma_names()]
        for word, found in senses.items()
    }


def _from_file(path: str | None) -> Mapping[str, Sequence[str]]:
    """Returns synonyms from a file of lines `word<TAB>synonym,synonym`; several lines for a word add up."""
    if path is None:
        raise BadInput("augment.lexicon=file needs augment.path=FILE, a file of lines word<TAB>synonym,synonym")
    try:
        lines = reader.read_lines(Path(path).expanduser())
    except (OSError, BadInput) as error:
        raise BadInput(
            f"{path} is not a readable lexicon: path must name a file of lines word<TAB>synonym,synonym ({error})"
        ) from error
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        word, tab, synonyms = line.partition("\t")
        if line.strip() and not tab:
            raise BadInput(f"{path}, line {number}: there is no tab; a line is word<TAB>synonym,synonym")
        found.setdefault(word.strip().lower(), []).extend(part.strip() for part in synonyms.split(",") if part.strip())
    return found
