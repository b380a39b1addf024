"""Published accuracies of label models come out with the parameters that the options ship."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.storage.places import conf_dir
from harness.verify.wrench import MENDED_TRIPLETS, PUBLISHED, cells, hash_ties, read_wrench, triplet_scores


@pytest.mark.shared
def test_every_cell_comes_out_to_two_decimals(shared: Path) -> None:
    began = time.process_time()
    found = {cell.what: cell for cell in cells(shared / "golden")}
    took = time.process_time() - began
    assert [what for what, cell in found.items() if not cell.passed] == []
    assert len(found) == 9 + 2 + 6
    for name, published in PUBLISHED.items():
        for method, value in published.items():
            assert round(found[f"{name} {method}"].ours, 2) == value
    assert found["youtube MV, ties to the lowest class"].ours == pytest.approx(77.6)
    assert found["youtube MV, ties drawn"].ours == pytest.approx(81.6)
    assert took < 15


@pytest.mark.shared
@pytest.mark.parametrize(
    ("option", "before", "after", "wrong"),
    [
        ("dawid_skene", "smoothing: 0.0 ", "smoothing: 0.01 ", {"sms DS"}),
        ("weighted_vote_prior", "prior: valid", "prior: uniform", {"youtube WMV", "trec WMV"}),
        ("majority_vote", "ties: soft", "ties: first", {"youtube MV", "sms MV", "trec MV"}),
        ("triplets", "average: mean", "average: median", {"sms triplets", "trec triplets"}),
    ],
)
def test_what_is_verified_is_what_the_option_ships(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, before: str, after: str, wrong: set[str]
) -> None:
    """A default that no longer gives the published number is found, since it is read from the option's own YAML."""
    shutil.copytree(conf_dir() / "weak", tmp_path / "weak")
    path = tmp_path / "weak" / f"{option}.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    monkeypatch.setattr("harness.verify.wrench.conf_dir", lambda: tmp_path)
    assert wrong <= {cell.what for cell in cells(shared / "golden") if not cell.passed}


@pytest.mark.shared
def test_triplets_on_the_mended_votes_give_what_the_authors_software_gives_there(shared: Path) -> None:
    """The other files of the same sets explain differences of one and two test rows; it is no rule for ties."""
    for name, theirs in MENDED_TRIPLETS.items():
        k, parts = read_wrench(shared / "tasks" / "wrench" / name)
        assert triplet_scores(parts, k)[1] == pytest.approx(theirs), name


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**20))
def test_the_tie_rule_is_snorkels(seed: int) -> None:
    from snorkel.utils import probs_to_preds

    probs = np.random.default_rng(seed).integers(1, 4, size=(50, 4)).astype(float)
    probs /= probs.sum(1, keepdims=True)
    assert np.array_equal(hash_ties(probs), probs_to_preds(probs))


def test_absent_votes_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"youtube has no label\.json"):
        next(cells(tmp_path))
