"""The files around the code: citation, changelog, forms, workflow, image, sweep, and the pages of the reference."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from conftest import ROOT, composed

import harness

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
FIELDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}


def test_the_citation_names_this_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what the format requires
    assert cited["version"] == harness.__version__
    assert cited["license"] == PROJECT["license"]
    assert cited["title"] == PROJECT["name"]
    assert f"Copyright 2026 {cited['authors'][0]['name']}" in (ROOT / "LICENSE").read_text().replace("\n", " ")


def test_the_changelog_has_a_place_for_what_is_not_released():
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert heads[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", head) for head in heads[1:])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_the_host_requires(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    names = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(set(names)) == len(names)
    for field in form["body"]:
        assert field["type"] in FIELDS
        assert field["attributes"]["value" if field["type"] == "markdown" else "label"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_the_workflow_runs_ci_on_each_python_that_is_declared():
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    [job] = flow["jobs"].values()
    declared = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == declared
    assert PROJECT["requires-python"] == f">={declared[0]}"
    assert any(step.get("run") == ".ci/run" for step in job["steps"])


def test_the_image_gets_all_that_the_package_is_built_from():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*build["packages"], *build["force-include"], PROJECT["readme"], *PROJECT["license-files"]}
    assert {*needed, "pyproject.toml", "constraints.txt"} <= allowed
    assert all((ROOT / name).exists() for name in allowed)


def test_the_sweeps_commands_are_commands():
    agents = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    sweep = yaml.safe_load((ROOT / "examples" / "sweep.yaml").read_text())
    from harness.run.faults import find_faults
    from harness.run.track.content import OUTCOMES

    assert sweep["metric"]["name"] in OUTCOMES
    for place in (0, -1):
        chosen = {name: {"value": said["values"][place]} for name, said in sweep["parameters"].items()}
        words = agents.create_sweep_command_args({"args": chosen})["args_no_hyphens"]
        assert sorted(word.split("=")[0] for word in words) == sorted(sweep["parameters"])
        assert find_faults(composed(*words)) == []
    assert sweep["command"] == ["${env}", "harness", "${args_no_hyphens}"]


def test_every_public_name_is_in_the_reference():
    page = (ROOT / "docs" / "api.md").read_text()
    homes = {"run": "harness.api.runs.run_from_python", "Study": "harness.api.results.StudyResults"}
    missing = [
        name for name in harness.__all__ if not name.startswith("__") and homes.get(name, f"harness.{name}") not in page
    ]
    assert missing == []


def test_every_page_is_in_the_site():
    listed = re.findall(r"^(\w+)$", (ROOT / "docs" / "index.md").read_text(), re.M)
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index")
