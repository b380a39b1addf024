"""Augments texts with pretrained models, which read the training texts once; batches draw from their proposals.

A model's proposals are cached by texts and weights, and do not depend on a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.checks import within
from harness.data import TrainSet, digest
from harness.errors import BadInput
from harness.learners.batches import chunks
from harness.strategies import Tools, compose
from harness.strategies.augment.lexicons import around

TOGETHER = 16
"""Texts that a model reads at a time."""
Versions = Mapping[str, Sequence[str]]
"""Maps a training text to its other versions."""


def back_translation(
    train: TrainSet,
    tools: Tools,
    *,
    forward: str,
    backward: str,
    p: float,
    num_beams: int,
    copies: int,
    max_length: int,
) -> TrainSet:
    """Replaces a text, with probability `p`, by its translation to another language and back (Sennrich et al. 2016).

    `forward` and `backward` are sequence-to-sequence models by folder or hub name. Both search with `num_beams`
    beams; the first keeps the best translation, the second the `copies` best, of which one is drawn. Texts are cut at
    `max_length` tokens. A text that another augmentation has already changed stays.
    """
    within("p", p, 0.0, 1.0)
    if not 1 <= copies <= num_beams:
        raise BadInput(f"copies={copies} is out of range; it must lie between 1 and num_beams={num_beams}")
    from harness.learners.transformers import checkpoint

    texts, there, back = _texts(train), checkpoint(forward), checkpoint(backward)

    def compute() -> np.ndarray:
        translate = partial(_translated, num_beams=num_beams, max_length=max_length, device=tools.device)
        return np.array(translate(translate(texts, there, copies=1), back, copies=copies)).reshape(-1, copies)

    parts = {
        "texts": digest(np.array(texts)), "forward": there.identity, "backward": back.identity,
        "num_beams": num_beams, "copies": copies, "max_length": max_length,
    }  # fmt: skip
    found = tools.cache.array("translations", parts, compute)
    versions = {text: [str(new) for new in row] for text, row in zip(texts, found, strict=True)}
    return replace(train, augment=compose(train.augment, partial(_exchanged, p=p, versions=versions)))


def masked_lm(train: TrainSet, tools: Tools, *, path: str, p: float, top_k: int, max_length: int) -> TrainSet:
    """Replaces each word, with probability `p`, by one of the `top_k` proposals of a masked language model.

    Contextual augmentation (Kobayashi 2018) with a BERT-like model, by folder or hub name. To cover every word of a
    text, the model sees it 1/p times, each time with another share `p` of its words masked. Proposals are whole words
    other than the original; words beyond `max_length` tokens stay.
    """
    within("p", p, 0.01, 1.0)
    within("top_k", top_k, 1, 1000)
    from harness.learners.transformers import checkpoint

    texts, source = _texts(train), checkpoint(path)
    rounds = max(1, round(1 / p))
    compute = partial(_offered, texts, source, rounds, top_k, max_length, tools.device)
    parts = {
        "texts": digest(np.array(texts)), "model": source.identity,
        "rounds": rounds, "top_k": top_k, "max_length": max_length,
    }  # fmt: skip
    found = tools.cache.array("masked_words", parts, compute)
    ends = np.cumsum([len(text.split()) for text in texts]).tolist()
    offers = {text: found[end - len(text.split()) : end] for text, end in zip(texts, ends, strict=True)}
    return replace(train, augment=compose(train.augment, partial(_filled, p=p, offers=offers)))


def _texts(train: TrainSet) -> list[str]:
    """Returns the distinct labelled texts, sorted, so results depend neither on order nor on repetitions."""
    return sorted({str(text) for text in train.rows(train.labelled).x})


def _exchanged(
    x: Sequence[str], y: Tensor, rng: np.random.Generator, *, p: float, versions: Versions
) -> tuple[list[str], Tensor]:
    changed, luck = rng.random(len(x)) < p, rng.random(len(x))
    found = [versions.get(str(text), [str(text)]) for text in x]
    drawn = [offer[int(draw * len(offer))] for offer, draw in zip(found, luck, strict=True)]
    return [new if now and new.split() else str(old) for old, new, now in zip(x, drawn, changed, strict=True)], y


def _filled(
    x: Sequence[str], y: Tensor, rng: np.random.Generator, *, p: float, offers: Mapping[str, np.ndarray]
) -> tuple[list[str], Tensor]:
    return [_with_offers(str(text), rng, p, offers.get(str(text))) for text in x], y


def _with_offers(text: str, rng: np.random.Generator, p: float, offers: np.ndarray | None) -> str:
    """Returns the text with some words exchanged; `offers` (words, top_k) holds "" where there is no proposal."""
    words = text.split()
    if offers is None or not words:
        return text
    chosen, column = rng.random(len(words)) < p, rng.integers(offers.shape[1], size=len(words))
    for place in np.flatnonzero(chosen):
        before, word, after = around(words[place])
        words[place] = f"{before}{str(offers[place, column[place]]) or word}{after}"
    return " ".join(words) if chosen.any() else text


def _loaded(source: Any, maker: str, max_length: int, device: str) -> tuple[Any, Any, int]:
    """Loads tokenizer and model of a transformers class, in evaluation mode, and the number of tokens that it reads.

    BadInput if the checkpoint lacks weights, such as an encoder without the head that predicts words, which would
    get random ones. Global random generators stay untouched.
    """
    import transformers

    from harness.learners.transformers import load

    def whole(name: str, revision: str | None, config: Any) -> Any:
        make = getattr(transformers, maker).from_pretrained
        model, told = make(name, revision=revision, config=config, output_loading_info=True)
        if told["missing_keys"]:
            raise ValueError(
                f"it has no {min(told['missing_keys'])}, so it is not a {maker.removeprefix('AutoModelFor')}"
            )
        return model

    with torch.random.fork_rng(devices=[]):  # Loading draws weights that a checkpoint lacks.
        tokenizer, model = load(source, whole)
    limit = getattr(model.config, "max_position_embeddings", max_length)
    return tokenizer, model.to(device).eval(), min(max_length, limit)


def _translated(
    texts: Sequence[str], source: Any, *, copies: int, num_beams: int, max_length: int, device: str
) -> list[str]:
    """Returns `copies` translations of each text, text by text, by beam search, which uses no randomness."""
    tokenizer, model, most = _loaded(source, "AutoModelForSeq2SeqLM", max_length, device)
    order = np.argsort([len(text) for text in texts], kind="stable")
    found = [[""] * copies] * len(texts)
    for part in chunks(len(texts), TOGETHER):
        batch = [texts[place] for place in order[part]]
        encoded = tokenizer(batch, padding=True, truncation=True, max_length=most, return_tensors="pt")
        with torch.inference_mode():
            made = model.generate(
                input_ids=encoded["input_ids"].to(device), attention_mask=encoded["attention_mask"].to(device),
                do_sample=False, num_beams=num_beams, num_return_sequences=copies, max_new_tokens=most,
            )  # fmt: skip
        said = tokenizer.batch_decode(made, skip_special_tokens=True)
        for number, place in enumerate(order[part].tolist()):
            found[place] = [text.strip() for text in said[number * copies : (number + 1) * copies]]
    return [text for versions in found for text in versions]


def _offered(texts: Sequence[str], source: Any, rounds: int, top_k: int, max_length: int, device: str) -> np.ndarray:
    """Returns the model's proposals for every word of the texts, text by text: (words, top_k) str."""
    model = _masked_model(source, top_k, max_length, device)
    words = [text.split() for text in texts]
    starts = np.cumsum([0, *map(len, words)])
    found = np.full((starts[-1], top_k), "", dtype=object)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for number in range(rounds):
        for part in chunks(len(texts), TOGETHER):
            batch = [(words[row], _asked_in(words[row], number, rounds)) for row in order[part]]
            for row, (_, places), offers in zip(order[part], batch, model.offers(batch), strict=True):
                for place, offer in zip(places, offers, strict=False):  # Tokens beyond max_length have no word.
                    found[starts[row] + place, : len(offer)] = offer
    return found.astype(np.str_)


def _asked_in(words: Sequence[str], number: int, rounds: int) -> list[int]:
    """Returns the places masked in this round: words at a regular distance, skipping bare punctuation."""
    return [place for place in range(number, len(words), rounds) if around(words[place])[1]]


@dataclass(frozen=True)
class MaskedModel:
    """Holds a masked language model and its whole-word tokens: `words` and their `ids`, in the same order."""

    tokenizer: Any
    network: Any
    ids: Tensor
    words: tuple[str, ...]
    top_k: int
    max_length: int

    def offers(self, batch: Sequence[tuple[Sequence[str], Sequence[int]]]) -> list[list[list[str]]]:
        """Returns, by text and masked place, the `top_k` likeliest words other than the original.

        A text that was cut gives fewer; a text that itself contains the mask token gives none.
        """
        texts = [self._masked(words, places) for words, places in batch]
        encoded = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        ).to(self.ids.device)
        masks = encoded["input_ids"] == self.tokenizer.mask_token_id
        with torch.inference_mode():
            logits = self.network(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]).logits
            best = logits[masks][:, self.ids].topk(self.top_k + 1).indices.tolist()
        ends = np.cumsum(masks.sum(1).tolist()).tolist()
        return [
            self._others(best[start:end], words, places) if end - start <= len(places) else []
            for start, end, (words, places) in zip([0, *ends], ends, batch, strict=False)
        ]

    def _masked(self, words: Sequence[str], places: Sequence[int]) -> str:
        new = list(words)
        for place in places:
            before, _, after = around(words[place])
            new[place] = f"{before}{self.tokenizer.mask_token}{after}"
        return " ".join(new)

    def _others(self, best: Sequence[Sequence[int]], words: Sequence[str], places: Sequence[int]) -> list[list[str]]:
        own = [around(words[place])[1].lower() for place in places]
        named = [[self.words[index] for index in row] for row in best]
        return [[new for new in row if new.lower() != old][: self.top_k] for row, old in zip(named, own, strict=False)]


def _masked_model(source: Any, top_k: int, max_length: int, device: str) -> MaskedModel:
    """Loads the model in evaluation mode; BadInput if it is not a masked model or knows too few words."""
    tokenizer, network, most = _loaded(source, "AutoModelForMaskedLM", max_length, device)
    if tokenizer.mask_token is None:
        raise BadInput(f"the model '{source.name}' is not a masked language model: path must name one (BERT …)")
    vocabulary = tokenizer.get_vocab()
    begins = next((mark for mark in ("Ġ", "▁") if any(token.startswith(mark) for token in vocabulary)), "")
    words = {index: token.removeprefix(begins) for token, index in vocabulary.items() if token.startswith(begins)}
    ids = sorted(index for index, word in words.items() if word.isalpha())
    if len(ids) <= top_k:
        raise BadInput(f"top_k={top_k} is too large: the model '{source.name}' knows {len(ids)} whole words")
    at = torch.tensor(ids, device=device)
    return MaskedModel(tokenizer, network, at, tuple(words[index] for index in ids), top_k, most)
