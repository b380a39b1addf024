"""What is installed from a wheel works from any folder, with its options and studies inside."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(words, check=True, capture_output=True, text=True)
    return next(folder.glob("gains_harness-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_options_and_studies_and_nothing_of_the_workshop(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for option in ROOT.glob("conf/**/*.yaml"):
        assert f"harness/{option.relative_to(ROOT)}" in names
    for study in ROOT.glob("experiments/*.yaml"):
        assert f"harness/{study.relative_to(ROOT)}" in names
    for suite in ROOT.glob("suites/*.yaml"):
        assert f"harness/{suite.relative_to(ROOT)}" in names
    assert "hydra_plugins/harness_plugins.py" in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"harness", "hydra_plugins"}
    assert not [name for name in names if name.endswith((".parquet", ".png", ".npy", ".json"))]


@pytest.mark.slow
def test_it_runs_a_study_from_an_empty_folder(wheel, tmp_path):
    site, here = tmp_path / "site", tmp_path / "here"
    zipfile.ZipFile(wheel).extractall(site)
    here.mkdir()
    said = [
        "experiments=quickstart",
        "seeds=[0]",
        "arms=['model=mlp','clean=confident']",
        "cross=[]",
        "protocol.steps=5",
    ]
    program = "import sys, harness; from harness.commands.cli import main; print(harness.__file__); sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "-m", *said, "track=none", f"cache={tmp_path / 'cache'}"],
        cwd=here, env={**os.environ, "PYTHONPATH": str(site)}, text=True, capture_output=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    assert len(list((here / "results" / "quickstart" / "trials").glob("*.json"))) == 3
    assert (here / "results" / "quickstart" / "effects.png").exists()
