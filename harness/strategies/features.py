"""Turns rows of any kind into vectors of numbers, so that distances between rows mean something.

Everything is fitted on the training rows, and computed at most once for the same content.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from harness.data import Prepare, Rows, TrainSet, digest
from harness.errors import BadInput
from harness.storage.cache import Cache
from harness.streams import child_seed, stream
from harness.tables import is_raw, numeric

COMPONENTS = 128
"""Most dimensions after projection, for words of texts and for images with more pixels."""
MAX_LENGTH = 128
"""Tokens of a text that an encoder reads."""
Matrix = Float32[np.ndarray, "n p"]


def compute_features(x: Rows, cache: Cache, *, encoder: str | None) -> Matrix:
    """Returns one vector per row (n, d), for distances among the rows; read-only.

    Images: pixels, every channel with mean 0 and deviation 1, on their first principal components where there are
    more than 128. Tables: raw cells as numbers, missing values as the column's mean, columns with mean 0 and deviation
    1. Texts: TF-IDF on its first 128 singular vectors (latent semantic analysis), of length 1; or, if `encoder`
    names a model (a folder, or a hub's name), its frozen embeddings, of length 1 as well. BadInput if an encoder gets
    rows that are not texts, or if no text holds a word.
    """
    return features_like(x, x, cache, encoder=encoder)


def features_like(x: Rows, rows: Rows, cache: Cache, *, encoder: str | None) -> Matrix:
    """Returns the features of `rows`, fitted on the training rows `x`; see `compute_features`."""
    if encoder is not None:
        return _encoded(rows, cache, encoder)
    parts = {"fitted_on": digest(x), "rows": digest(rows), "components": COMPONENTS}
    return cache.array("features", parts, lambda: _fitted(x)(rows))


def is_text(x: Rows) -> bool:
    """Returns whether rows are texts."""
    return x.dtype.kind in "OUST"


def _fitted(x: Rows) -> Prepare:
    """Returns the transform from rows to features, fitted on the training rows `x`."""
    if is_raw(x):
        return _from_cells(x)
    if is_text(x):
        return _from_texts(x)
    return _from_images(x) if len(x.shape) > 2 else _from_table(x)


def _from_cells(x: Rows) -> Prepare:
    n = len(x)
    bare = TrainSet(np.arange(n), x, np.ones((n, 1), np.float32), np.ones(n, np.float32), np.zeros((n, 0), np.int8))
    encoded = numeric(bare)
    after, before = _from_table(encoded.x), encoded.prepare
    return lambda rows: after(before(rows) if before else rows)


def _from_table(x: Rows) -> Prepare:
    return _transform(make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), _flat, x)


def _from_images(x: Rows) -> Prepare:
    """Scales by channel: scaling by pixel would amplify the noise of a border that is nearly always empty."""
    shape = x.shape
    flat = np.asarray(x, dtype=np.float32).reshape(-1, shape[-1])
    mean, deviation = flat.mean(0, dtype=np.float64), flat.std(0, dtype=np.float64)

    def pixels(rows: Rows) -> np.ndarray:
        return _flat((np.asarray(rows, dtype=np.float32) - mean) / np.where(deviation > 0, deviation, 1))

    if np.prod(shape[1:]) <= COMPONENTS or len(x) <= COMPONENTS:
        return lambda rows: pixels(rows).astype(np.float32)
    return _transform(make_pipeline(PCA(COMPONENTS, svd_solver="covariance_eigh")), pixels, x)


def _from_texts(x: Rows) -> Prepare:
    """Uses ARPACK, which is exact from any start; the randomised solver's result depends on its draws."""
    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    if not any(map(words.build_analyzer(), _texts(x))):
        raise BadInput(f"none of the {len(x)} texts holds a word, so they have no distances: name an encoder")
    size = min(COMPONENTS, len(x) - 1, len(words.fit(_texts(x)).vocabulary_) - 1)
    if size < 1:
        return lambda rows: words.transform(_texts(rows)).toarray().astype(np.float32)
    svd = TruncatedSVD(size, algorithm="arpack", random_state=child_seed(stream(0, "features", "texts")))
    return _transform(make_pipeline(words, svd, Normalizer()), _texts, x)


def _transform(pipeline: object, read: Callable[[Rows], object], x: Rows) -> Prepare:
    """Returns a scikit-learn pipeline, fitted on the training rows, as a function from rows to float32."""
    fitted = pipeline.fit(read(x))  # type: ignore[attr-defined]
    return lambda rows: np.asarray(fitted.transform(read(rows)), dtype=np.float32)


def _flat(rows: Rows) -> np.ndarray:
    array = np.asarray(rows, dtype=np.float64)
    return array.reshape(len(array), -1)


def _texts(rows: Rows) -> list[str]:
    return [str(text) for text in np.asarray(rows).tolist()]


def _encoded(rows: Rows, cache: Cache, encoder: str) -> Matrix:
    if is_raw(rows) or not is_text(rows):
        raise BadInput(f"the encoder '{encoder}' reads texts, but these rows are not texts: set encoder=null")
    from harness.learners.transformers import embeddings  # takes seconds to import, and is seldom needed

    return embeddings(rows, cache, "cpu", path=encoder, layers=None, pooling="mean", max_length=MAX_LENGTH)
