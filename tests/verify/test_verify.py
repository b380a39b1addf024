"""`harness verify`: every cell is shown, one that is wrong ends in a non-zero exit, and the literature comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.commands.cli import main
from harness.commands.verify import CHECKS, print_section
from harness.verify import Cell
from harness.verify.confident import CIFAR
from harness.verify.literature import cells


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance", "bound", "passed"),
    [
        (84.0, 84.0, 0.005, False, True),
        (84.004, 84.0, 0.005, False, True),
        (84.01, 84.0, 0.005, False, False),
        (0.95, 0.9, 0.0, True, True),
        (0.89, 0.9, 0.0, True, False),
        (float("nan"), 0.9, 10.0, False, False),
        (float("nan"), 0.9, 10.0, True, False),
    ],
)
def test_a_cell_passes_within_its_tolerance_or_above_its_bound(
    ours: float, theirs: float, tolerance: float, bound: bool, passed: bool
) -> None:
    assert Cell("section", "cell", ours, theirs, tolerance, "somebody", bound).passed is passed


def test_every_cell_is_shown_with_both_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Cell("s", "right", 1.25, 1.25, 0.0, "A 2020"), Cell("s", "wrong", 3.5, 1.25, 0.1, "B 2021")]
    assert print_section("s", found) == found
    right, wrong = capsys.readouterr().out.splitlines()[-2:]
    assert right.split() == ["right", "1.25", "1.25", "0", "pass", "A", "2020"]
    assert wrong.split() == ["wrong", "3.5", "1.25", "0.1", "FAIL", "B", "2021"]


def test_what_is_compared_with_nothing_is_shown_and_is_no_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    (alone,) = print_section("s", [Cell("s", "mace", float("nan"), None, 0.0, "no published number")])
    assert not alone.passed
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mace", "–", "–", "none", "no", "published", "number"]


def test_the_shares_of_variance_in_published_tables_come_out(shared: Path) -> None:
    found = list(cells(shared / "literature"))
    assert len(found) == 8
    assert all(cell.passed for cell in found), [cell.what for cell in found if not cell.passed]


def test_a_wrong_input_is_told_and_a_wrong_number_is_a_failure(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "neither a folder golden nor a folder literature" in capsys.readouterr().err
    broken = tmp_path / "literature"
    broken.mkdir()
    for path in (shared / "literature").glob("*.csv"):
        (broken / path.name).write_text(path.read_text())
    assert main(["verify", str(tmp_path)]) == 0
    capsys.readouterr()
    errors = broken / "fastaa_cifar_error.csv"
    errors.write_text(errors.read_text().replace("cifar10,WRN-40-2,5.3", "cifar10,WRN-40-2,9.3"))
    assert main(["verify", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "6 of 8 cells agree" in told.out
    assert "2 published numbers are not reproduced" in told.err


def with_one_level_of_noise(shared: Path, folder: Path) -> Path:
    """Published inputs with one case of confident learning; `test_verify_confident.py` recomputes all thirteen."""
    (folder / "golden").mkdir()
    (folder / "literature").symlink_to(shared / "literature")
    for path in (shared / "golden").iterdir():
        if path.name != CIFAR:
            (folder / "golden" / path.name).symlink_to(path)
    with np.load(shared / "golden" / CIFAR) as file:
        names = [name for name in file.files if name == "true" or name.startswith("n0.2_s0.2_")]
        np.savez(folder / "golden" / CIFAR, **{name: file[name] for name in names})
    return folder


@pytest.mark.slow
def test_every_published_number_comes_out(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(with_one_level_of_noise(shared, tmp_path))]) == 0
    said = capsys.readouterr().out
    counted = [said.count(words) for words in ("n0.2_s0.2 ", "trec ", "pass  cleanlab/label-errors", " pass ")]
    assert counted[0] == 6 + 5 + 5
    assert counted[1] >= 5 + 6
    assert counted[2] == 4
    assert counted[3] >= 60
    assert "FAIL" not in said
    assert set(CHECKS.values()) == {"golden", "literature"}
