"""A user's own code in a trial's key: which files count, and that a change of one is another trial."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from invoke import QUIET, SMALL, environment, records

from harness.run.options import MOVED, build, current_target, hashed_target, identity, moved_targets

PROGRAM = "import json, sys; from harness.run.sources import user_sources; print(json.dumps(user_sources(json.loads(sys.argv[1]))))"


def files(folder: Path, **sources: str) -> None:
    for name, text in sources.items():
        path = folder / f"{name.replace('__of__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def sources(folder: Path, node: str) -> dict[str, str]:
    """What a fresh process finds in `folder`: modules that this one has imported do not count."""
    import json

    where = {**environment(), "PYTHONPATH": f"{folder}:{environment()['PYTHONPATH']}"}
    out = subprocess.run(
        [sys.executable, "-c", PROGRAM, node], cwd=folder, env=where, capture_output=True, text=True, check=True
    )
    return json.loads(out.stdout)


def test_the_module_and_what_it_imports_from_beside_it_count_and_nothing_else(tmp_path):
    files(
        tmp_path,
        mine="import numpy\nimport helper\nfrom parts import left\n\n\ndef f(train, tools):\n    from lazy import g\n",
        helper="import deeper\n", deeper="", lazy="", unused="",
        parts____init__="".strip(),
    )  # fmt: skip
    (tmp_path / "parts____init__.py").unlink()
    files(
        tmp_path,
        parts__of____init__="",
        parts__of__left="from . import right\nfrom ..helper import x\n",
        parts__of__right="",
    )
    found = sources(tmp_path, '{"clean": {"_target_": "mine.f", "then": {"_target_": "harness.strategies.none"}}}')
    assert sorted(found) == [
        "deeper.py",
        "helper.py",
        "lazy.py",
        "mine.py",
        "parts/__init__.py",
        "parts/left.py",
        "parts/right.py",
    ]
    assert all(digest.startswith("sha256:") for digest in found.values())


@pytest.mark.parametrize(
    "node",
    [
        '{"_target_": "harness.strategies.none"}',
        '{"_target_": "sklearn.linear_model.Ridge"}',
        '{"_target_": "os.path.join"}',
        '{"_target_": "nowhere.f"}',
    ],
)
def test_our_own_and_installed_code_does_not_count(tmp_path, node):
    assert sources(tmp_path, node) == {}


def test_a_target_within_a_package_and_a_file_of_rules(tmp_path):
    files(tmp_path, own__of____init__="", own__of__nets="", rules="import words\n", words="")
    assert sorted(sources(tmp_path, '{"network": [{"_target_": "own.nets.Tiny.build"}]}')) == [
        "own/__init__.py",
        "own/nets.py",
    ]
    assert sorted(sources(tmp_path, '{"_target_": "harness.strategies.weak.rules", "path": "rules.py"}')) == [
        "words.py"
    ]


def test_a_syntax_error_is_no_reason_to_stop(tmp_path):
    files(tmp_path, mine="def f(:\n")
    assert sorted(sources(tmp_path, '{"_target_": "mine.f"}')) == ["mine.py"]


@pytest.fixture(scope="module")
def edited(tmp_path_factory) -> tuple[Path, list[str], list[str]]:
    """A user's folder after four commands: a strategy, the same again, its helper edited, and a rerun of that."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "conf" / "clean").mkdir(parents=True)
    files(
        folder,
        mine="import numpy as np\nfrom helper import n\n\n\ndef first(train, tools):\n    return train.rows(np.arange(n, len(train)))\n",
        helper="n = 20\n",
    )
    yaml = "# drops the first rows\n_target_: mine.first\n_partial_: true\nfits: [image]\n"
    (folder / "conf" / "clean" / "first.yaml").write_text(yaml)
    (folder / "conf" / "clean" / "confident.yaml").write_text(yaml)
    said = []
    for number, more in enumerate(([], [], [], ["rerun=true"])):
        if number == 2:
            files(folder, helper="n = 60\n")
        out = subprocess.run(
            [sys.executable, "-m", "harness", "clean=first", *SMALL, *QUIET, *more],
            cwd=folder, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert out.returncode == 0, out.stderr
        said.append(out.stdout.strip())
    return folder, said, [out.stderr]


def test_edited_code_gives_a_new_number(edited):
    folder, said, _ = edited
    assert said[0] == said[1] != said[2] == said[3]
    kept = [one for one in records(folder / "results" / "single").values() if one["trial"].get("sources")]
    assert len(kept) == 2
    assert {frozenset(one["trial"]["sources"]) for one in kept} == {frozenset({"mine.py", "helper.py"})}


def test_a_rerun_keeps_the_old_records_aside_and_gives_the_same_numbers(edited):
    folder, _, _ = edited
    trials = folder / "results" / "single" / "trials"
    old = sorted(path.name for path in (trials / "old").glob("*.json"))
    again = [one for one in records(folder / "results" / "single").values() if one["provenance"].get("rerun")]
    assert old == sorted(f"{one['key']}.1.json" for one in again)
    assert len(again) == 2  # the trial and its control
    assert len({one["provenance"]["rerun"] for one in again}) == 1


def test_the_users_own_option_wins_and_is_named(edited):
    folder, _, errors = edited
    assert "conf/clean/confident.yaml: your own clean=confident is used instead of ours of that name" in errors[0]
    named = [one["provenance"].get("own_options") for one in records(folder / "results" / "single").values()]
    assert ["clean=first"] in named


def test_a_moved_target_keeps_its_key_whichever_path_a_yaml_names():
    moved = {"harness.old.f": "harness.middle.f", "harness.older.f": "harness.new.f"}
    assert hashed_target("harness.new.f", moved) == hashed_target("harness.older.f", moved) == "harness.older.f"
    assert current_target("harness.older.f", moved) == "harness.new.f"
    assert hashed_target("harness.other.f", moved) == current_target("harness.other.f", moved) == "harness.other.f"


@pytest.mark.parametrize("old", MOVED)
def test_old_paths_still_build_and_are_told(old):
    node = {"_target_": old, "_partial_": True}
    assert identity({"_target_": old}) == identity({"_target_": MOVED[old]})
    assert build(node).func is build({**node, "_target_": MOVED[old]}).func
    assert moved_targets({"track": node}) == [f"{old} is now {MOVED[old]}: please name the new path"]
