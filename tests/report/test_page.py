"""A study's page: its bytes, what it says, and what it does in a real Chromium, opened from a path."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import DESK, PHONE, Tab, chromium
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
from studies import keep, key, made_test_set, record, shown

from harness.analysis.attribution import Attribution, Estimate, Ladder, Omitted, Step, Verdict
from harness.analysis.effects import Effect, Interval, ReferenceGain
from harness.analysis.new_training_sets import NewSets
from harness.analysis.study import Study, gather
from harness.data import TrainSet, one_hot
from harness.errors import BadInput
from harness.receipts import receipt
from harness.report.glossary import GLOSSARY
from harness.report.page import PageData, index, overview_line, page_data, render, render_index
from harness.report.page.arm_details import arm_command, range_text
from harness.report.page.claims import claim_lines
from harness.report.page.study import verdict
from harness.storage.store import Store

TEST = made_test_set(60, 3)
CLASSES = ("zero", "one", "two")
COMMAND = "harness -m experiments=made"
HOSTILE = "clean=x</script><script>alert(1)</script><img src=x onerror=alert(2)><!--\u2028'\"&amp;" + "long" * 20
LOSS = "the loss is not finite </td><script>alert(3)</script>"


def estimate(value: float, half: float = 1.0) -> Estimate:
    return Estimate(value, value - half, value + half)


ANSWER = Attribution(
    ladder=Ladder(
        Step("model=forest", estimate(2.0), 0.5, 0.0), Step("clean=oracle", estimate(7.5), 1.25, 20.0), None, None,
        estimate(5.5), estimate(5.25), estimate(5.75, 2.0),
    ),
    shapley={"model": estimate(2.25), "data": estimate(-7.25)},
    eta2={"model": Estimate(0.125, 0.0625, 0.25), "data": Estimate(0.75, 0.5, 0.875)},
    omega2={"model": Estimate(0.0625, -0.03125, 0.125)},
    verdict=Verdict("data", estimate(5.5), "Data wins: by +5.50 points. One arm decides this: clean=oracle."),
    sensitivity=(Omitted("without clean=oracle", "undecided", estimate(0.5), ("model=forest", "clean=odd"), "clean=oracle"),),
    carried_by="clean=oracle", notes=("Chosen on validation.",),
)  # fmt: skip


def png(colour: int, side: int = 8) -> bytes:
    held = io.BytesIO()
    Image.new("L", (side, side), colour).save(held, "PNG")
    return held.getvalue()


def cleaned() -> dict[str, Any]:
    """The receipt of a strategy that drops rows 0 and 1, relabels row 2 from one to two and softens row 3."""
    n = 12
    before = TrainSet(
        np.array([f"row-{i}" for i in range(n)]), np.zeros((n, 2), np.float32),
        one_hot(np.array([0, 0, 1, 2] + [0] * 8), 3), np.ones(n, np.float32), np.zeros((n, 0), np.int8),
    )  # fmt: skip
    y = before.y.copy()
    y[2], y[3] = one_hot(np.array([2]), 3)[0], (0.25, 0.0, 0.75)
    return receipt(before, replace(before, y=y).rows(np.arange(2, n)))


def made(folder: Path) -> PageData:
    """A study of six arms and three seeds: a reference, one arm that fails throughout, one in part, a hostile one."""
    store = Store(folder)
    arms = {
        "model=forest": (0.85, "model", ""), "clean=oracle": (0.95, "data", ""), "clean=drop": (0.7, "data", "negative_control"),
        "model=forest clean=oracle": (0.97, "both", ""), "clean=odd": (0.8, "data", ""),
    }  # fmt: skip
    records = [
        record(store, "baseline", s, shown(TEST, 0.75, "baseline", str(s)), TEST, axis="none", factors=())
        for s in range(3)
    ]
    for arm, (accuracy, axis, reference) in arms.items():
        for s in range(3):
            found = None if (arm, s) == ("clean=odd", 2) else shown(TEST, accuracy, arm, str(s))
            more = {"receipts": {"clean": cleaned()}} if arm == "clean=oracle" else {}
            records.append(
                record(store, arm, s, found, TEST, axis=axis, reference=reference, reason="diverged", **more)
            )
    records += [record(store, HOSTILE, s, None, TEST, reason=LOSS) for s in range(3)]
    for one in records:
        own = {"clean": {"_target_": "harness.clean", "k": 5}} if "clean" in one["arm"] else {"clean": None}
        one["trial"] = {**one["trial"], "model": {"_target_": "harness.lenet"}, **own}
    records = keep(store, records)
    study = gather(store)
    told = replace(study, attribution=ANSWER, records=records)
    rows = {"row-0": png(20), "row-1": "free <b>money</b> " * 40, "row-2": png(200), "row-9": png(1)}
    figures = {"effects": png(255, 600), "by_hand": SVG}
    return page_data(told, figures, rows, COMMAND, CLASSES)


HEAD = "Better data is worth 5.50 points of accuracy more than a better model on up (95 % interval +4.50 to +6.50)."
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 40"><g style="fill: red"/></svg>'


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PageData:
    return made(tmp_path_factory.mktemp("records") / "made")


@pytest.fixture(scope="module")
def page(data: PageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "made" / "index.html"
    path.parent.mkdir()
    path.write_bytes(render(data))
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield Tab(driver)


def embedded(content: bytes, name: str) -> Any:
    return json.loads(re.search(rf'id="{name}">(.*?)</script>', content.decode())[1])  # type: ignore[index]


# What it holds


def test_equal_studies_give_equal_bytes(data: PageData, page: Path, tmp_path: Path) -> None:
    assert render(data) == page.read_bytes()
    assert render(made(tmp_path / "made")) == page.read_bytes()


def test_its_policy_lets_in_its_own_style_and_script_alone(page: Path) -> None:
    text = page.read_text()
    policy = text.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert not re.search(r'(?:src|href)="(?:https?:|//)|<(?:iframe|object|embed|form)\b|\sstyle="|\son\w+="', text)


def test_data_cannot_leave_the_scripts_that_hold_them(page: Path) -> None:
    text = page.read_text()
    assert text.count("<script") == text.count("</script>") == 3
    assert "<!--" not in text
    assert "\u2028" not in text.split('id="trials">')[1]
    lost = [
        trial for trials in embedded(page.read_bytes(), "trials")["trials"].values() for trial in trials if trial[2]
    ]
    assert {trial[4] for trial in lost} == {f"failed: {LOSS}", "failed: diverged"}


def test_trials_are_numbers_by_hand(data: PageData, page: Path) -> None:
    found = embedded(page.read_bytes(), "trials")
    place = [effect.arm for effect in data.effects].index("clean=oracle")
    rows = data.trials.set_index(["arm", "seed"])
    for seed, identity, lost, measured, why in found["trials"][str(place)]:
        row = rows.loc[("clean=oracle", seed)]
        assert (identity, lost, why) == (row.key, 0, "")
        assert measured == pytest.approx([row.test, row.valid, row.delta, 2.5, 1.5, 100.0], abs=6e-4)
    assert found["trials"]["0"][0][3][2] is None, "a control has no delta"


def test_only_rows_that_receipts_name_are_embedded(page: Path) -> None:
    rows = embedded(page.read_bytes(), "trials")["rows"]
    assert sorted(rows) == ["row-0", "row-1", "row-2"]
    assert base64.b64decode(rows["row-0"].removeprefix("idata:image/png;base64,")) == png(20)
    assert rows["row-1"].startswith("tfree <b>money</b> ")
    assert len(rows["row-1"]) == 1 + 240 + 1


def test_receipts_in_words(data: PageData) -> None:
    (stage,) = data.arms["clean=oracle"].stages
    assert dict(stage.counts) == {"rows before": "12", "dropped": "2", "relabelled": "2"}
    assert [row.id for row in stage.rows["dropped"]] == ["row-0", "row-1"]
    assert [(row.id, row.became) for row in stage.rows["relabelled"]] == [
        ("row-2", "one → two"), ("row-3", "two → two (75 %)"),
    ]  # fmt: skip
    assert stage.seed == 0


def test_an_arm_opens_to_its_own_part_of_the_config(data: PageData) -> None:
    factors = {factor.name: factor for factor in data.arms["clean=oracle"].factors}
    assert [name for name, factor in factors.items() if factor.own] == ["clean"]
    assert factors["clean"].text == "_target_: harness.clean\nk: 5"
    assert data.arms["clean=odd"].failures == [(2, "diverged")]
    assert data.arms["clean=odd"].costs["cpu_s"] == "2.5"
    assert data.arms["clean=oracle"].ledger["oracle"] == "20"


@pytest.mark.parametrize(
    "arm",
    [["clean=oracle"], ["clean=oracle", "clean.k=150"], ['task="a\\" b'], ["clean=it's"], ["clean.path='a b.csv'"]],
)
def test_the_command_of_an_arm_is_one_that_the_harness_reads(arm: list[str]) -> None:
    words = shlex.split(arm_command(COMMAND, arm, [3, 1, 3]))
    assert words[:3] == ["harness", "-m", "experiments=made"]
    said = {one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(words[3:])}
    assert said["seeds"] == [3, 1]
    assert [str(word) for word in said["arms"][0]] == arm
    assert (said["cross"], said["precision"], said["store"]) == ([], None, "again")


def test_the_baseline_is_run_with_an_arm_that_differs_in_its_salt() -> None:
    assert "'arms=[\"salt=again\"]'" in arm_command(COMMAND, [], [0])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 1], "1"),
        ([1.5, 2.25], "1.5–2.25"),
        ([18560], "18\u202f560"),
        ([12345.678], "12\u202f346"),
        ([True], "yes"),
        ([0.0], "0"),
    ],
)
def test_ranges(values: list[Any], text: str) -> None:
    assert range_text(values) == text


def test_a_study_without_a_verdict_says_why() -> None:
    none = Attribution(
        None, {}, {}, {}, None, (), None, ("An arm was left out.", "No attribution: one seed cannot tell.")
    )
    found = verdict([("Caution", "look out."), ("Verdict", "None: one seed cannot tell.")], none)
    assert (found.word, found.head, found.cautions) == ("untold", "No verdict: one seed cannot tell.", ["look out."])
    assert verdict([], None).head == "No verdict: nothing ran."
    assert verdict([("Verdict", "Data."), ("Why", "so.")], ANSWER).paragraphs == [("Why", "so.")]
    other = verdict([("Answer", "It moves."), ("Also", "a lot.")], none)
    assert (other.word, other.head, other.paragraphs) == ("other", "It moves.", [("Also", "a lot.")])


def test_figures_must_be_pictures(data: PageData) -> None:
    with pytest.raises(BadInput, match="figure 'x' is neither a PNG nor an SVG"):
        render(replace(data, figures={"x": b"<html>"}))
    with pytest.raises(BadInput, match="row 'row-0' is neither text nor a PNG"):
        render(replace(data, rows={"row-0": b"GIF89a"}))


def test_an_svg_that_says_no_size_has_that_of_its_numbers_or_is_refused(data: PageData) -> None:
    plain = b'<svg xmlns="http://www.w3.org/2000/svg" width="30pt" height="10pt"></svg>'
    assert 'width="60" height="20"' in render(replace(data, figures={"x": plain})).decode()
    with pytest.raises(BadInput, match="figure 'x' does not say how large it is"):
        render(replace(data, figures={"x": b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'}))


def test_an_index_reads_the_pages(page: Path, tmp_path: Path) -> None:
    found = index(page.parents[1], "index.html")
    line = overview_line(page.read_bytes(), "made/index.html")
    assert (line.name, line.word, line.arms, line.trials, line.failed) == ("made", "data", 7, 21, 4)
    assert line.verdict == HEAD
    assert [arm.partition(" +")[0] for arm in line.best.split("; ")] == ["clean=oracle", "model=forest clean=oracle"]
    assert found == render_index([line])
    assert '<a href="made/index.html">made</a>' in found.decode()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "index.html").write_text("<p>no page</p>")
    with pytest.raises(BadInput, match=r"x/index\.html is not the page of a study"):
        index(tmp_path, "index.html")
    assert "No study has a page yet" in render_index([]).decode()


# What it does in a browser


def test_it_opens_from_a_path_without_a_word_and_without_a_request(tab: Tab, page: Path) -> None:
    tab.open(page)
    assert tab.js("return location.protocol") == "file:"
    assert tab.texts("h1") == [HEAD.replace("95 %", "95\xa0%")]
    for place in range(tab.js("return document.querySelectorAll('button.arm').length")):
        tab.js("document.querySelectorAll('button.arm')[arguments[0]].click()", place)
    assert tab.js("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert tab.js("return document.images.length") == 4, "two figures and two rows"
    assert tab.js("return document.documentElement.scrollWidth") <= DESK[0]
    assert tab.requests() == [page.as_uri()]
    assert tab.complaints() == []


def test_nothing_from_data_becomes_markup(tab: Tab, page: Path) -> None:
    tab.open(page)
    assert HOSTILE.replace("\u2028", " ") in tab.texts("button.arm")
    (place,) = [i for i, name in enumerate(tab.texts("button.arm")) if "script" in name]
    tab.js("document.querySelectorAll('button.arm')[arguments[0]].click()", place)
    assert tab.texts(".opened .failures li") == [f"seed {s}: {LOSS}" for s in range(3)]
    assert tab.texts(".opened td.why") == [f"failed: {LOSS}"] * 3
    assert tab.js("return document.scripts.length") == 3
    assert tab.js("return document.querySelectorAll('img[src=x], [onerror]').length") == 0
    assert tab.complaints() == []  # an alert would have stopped the test with an error of its own


def test_sorting(tab: Tab, page: Path) -> None:
    tab.open(page)
    column = "table.board > tbody > tr > :nth-child({})".format
    tab.click("table.board th:nth-child(4) button")
    scores = tab.js("return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.v)", column(4))
    numbers = [float(value) for value in scores if value]
    assert numbers == sorted(numbers, reverse=True)
    assert scores[-1] == "", "what has no score is last"
    assert tab.js("return document.querySelector('table.board th:nth-child(4)').ariaSort") == "descending"
    assert tab.js("return document.querySelector('#said').textContent") == "Sorted by accuracy ± sd, descending."
    tab.click("table.board th:nth-child(4) button")
    again = tab.js("return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.v)", column(4))
    assert [float(value) for value in again if value] == sorted(numbers)
    assert again[-1] == ""
    tab.click("table.board th:nth-child(2) button")
    names = [name.lower() for name in tab.texts("button.arm")]
    assert names[0] == "baseline"
    assert names[-1] == "model=forest clean=oracle"
    assert (
        tab.js(
            "return [...document.querySelectorAll('table.board th[aria-sort]')].filter(e => e.ariaSort != 'none').length"
        )
        == 1
    )


def test_an_open_row_stays_with_its_arm_when_sorted(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.js("[...document.querySelectorAll('button.arm')].find(e => e.innerText == 'clean=oracle').click()")
    tab.click("table.board th:nth-child(2) button")
    assert (
        tab.js("return document.querySelector('.opened').previousSibling.querySelector('button').innerText")
        == "clean=oracle"
    )
    tab.type("#find", "forest")
    assert tab.texts(".opened") == []


def test_filters_and_search(tab: Tab, page: Path) -> None:
    tab.open(page)
    everything = tab.texts("button.arm")
    assert len(everything) == 7
    tab.choose("#axis", "model")
    assert tab.texts("button.arm") == ["model=forest"]
    tab.choose("#axis", "all")
    tab.choose("#reference", "alone")
    assert tab.texts("button.arm") == ["clean=drop"]
    tab.choose("#reference", "hidden")
    assert set(everything) - set(tab.texts("button.arm")) == {"clean=drop"}
    tab.choose("#failed", "some failed")
    assert set(tab.texts("button.arm")) == {"clean=odd", HOSTILE.replace("\u2028", " ")}
    tab.choose("#failed", "all arms")
    tab.type("#find", "ORACLE forest")
    assert tab.texts("button.arm") == ["model=forest clean=oracle"]
    assert tab.texts("#shown") == ["1 of 7 arms"]
    tab.type("#find", "nothing is called that")
    assert tab.texts("#none") == ["No arm is like that."]


def test_an_arm_opens_to_its_trials_when_asked(tab: Tab, page: Path, data: PageData) -> None:
    tab.open(page)
    assert tab.js("return document.querySelectorAll('[data-trials] table').length") == 0
    tab.js("[...document.querySelectorAll('button.arm')].find(e => e.innerText == 'clean=odd').click()")
    rows = [row.split("\t") for row in tab.texts(".opened .trials tbody tr")]
    delta = data.trials.set_index(["arm", "seed"]).loc[("clean=odd", 0), "delta"]
    assert rows[0][:1] + rows[0][3:7] == ["0", f"{delta:+.2f}".replace("-", "\N{MINUS SIGN}"), "2.50", "1.50", "100"]
    assert rows[2][:2] == ["2", "failed: diverged"]
    links = tab.js("return [...document.querySelectorAll('.opened .trials a')].map(e => e.getAttribute('href'))")
    keys = data.trials[data.trials["arm"] == "clean=odd"].sort_values("seed")["key"]
    assert links == [f"trials/{one}{end}" for one, end in zip(keys, (".json", ".json", ".failed.json"), strict=True)]
    assert 'arms=[["clean=odd"]]' in tab.texts(".opened .command code")[0]
    assert tab.texts(".opened .config") == ["clean\n_target_: harness.clean\nk: 5"]
    assert tab.texts(".opened .configs + p") == ["As in the baseline: model, weak, augment."]
    tab.js("[...document.querySelectorAll('button.arm')].find(e => e.innerText == 'clean=odd').click()")
    assert tab.texts(".opened") == []


def test_receipts_show_the_rows_at_hand(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.js("[...document.querySelectorAll('button.arm')].find(e => e.innerText == 'clean=oracle').click()")
    assert tab.texts(".opened .receipt > p:first-of-type") == ["12 rows before, 2 dropped, 2 relabelled."]
    found = tab.js(
        "return [...document.querySelectorAll('.opened [data-row]')].map(e => [e.dataset.row, e.firstElementChild.tagName])"
    )
    assert found == [["row-0", "IMG"], ["row-1", "Q"], ["row-2", "IMG"], ["row-3", "CODE"]]
    assert tab.texts(".opened [data-row=row-1] q")[0].startswith("free <b>money</b>")


def test_all_of_it_by_keyboard(tab: Tab, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    tab.open(page)
    seen = []
    while "effect [95\xa0% interval]" not in seen:
        tab.press(Keys.TAB)
        seen.append(tab.focused())
        assert len(seen) < 60
    tab.press(Keys.ENTER)
    assert tab.js("return document.activeElement.parentElement.ariaSort") == "descending"
    while tab.focused() != "clean=oracle":
        tab.press(Keys.TAB)
    assert tab.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press(Keys.SPACE)
    assert tab.js("return document.activeElement.ariaExpanded") == "true"
    assert len(tab.texts(".opened .trials tbody tr")) == 3
    while tab.focused() != "Copy":
        tab.press(Keys.TAB)
    tab.press(Keys.ENTER)
    assert tab.until("return document.querySelector('.opened .copy').innerText == 'Copied'")
    assert tab.js("return getSelection().toString()").startswith(COMMAND)


def test_a_link_to_an_arm_opens_it(tab: Tab, page: Path, data: PageData) -> None:
    tab.open(page)
    place = [effect.arm for effect in data.effects].index("clean=drop")
    tab.js("location.hash = arguments[0]", f"#arm-{place}")
    assert tab.until("return document.activeElement.innerText == 'clean=drop'")
    assert len(tab.texts(".opened .trials tbody tr")) == 3


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_read_on_a_phone(tab: Tab, page: Path, dark: bool) -> None:
    tab.open(page, size=PHONE, dark=dark)
    tab.js("document.querySelectorAll('button.arm').forEach(e => e.click())")
    tab.js("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert tab.js("return document.documentElement.scrollWidth") <= PHONE[0]
    wide = (
        "[...document.querySelectorAll('#leaderboard > .box, pre, dl, ul')].filter(e => e.scrollWidth > e.clientWidth)"
    )
    assert tab.js(f"return {wide}.map(e => e.outerHTML.slice(0, 80))") == []
    small = tab.js(
        "return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.innerText && "
        "parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.outerHTML.slice(0, 80))"
    )
    assert small == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(tab: Tab, page: Path, dark: bool) -> None:
    """The contrast of WCAG 2.2, 1.4.3, for every colour of text on the page's own two grounds: 4.5 and more."""
    tab.open(page, dark=dark)
    colours = tab.js(
        "const s = getComputedStyle(document.documentElement);"
        "return Object.fromEntries(['paper', 'sheet', 'ink', 'soft', 'model', 'data', 'both', 'none', 'warn', 'link']"
        ".map(name => [name, s.getPropertyValue('--' + name).trim()]))"
    )
    light = {name: luminance(colour) for name, colour in colours.items()}
    assert (light["paper"] < 0.1) == dark
    for ground in ("paper", "sheet"):
        for name in set(light) - {"paper", "sheet"}:
            high, low = sorted((light[ground], light[name]), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_without_its_script_all_can_still_be_read(tab: Tab, page: Path) -> None:
    tab.open(page, script=False)
    tab.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert tab.texts(".controls") == []
    assert tab.texts("#arms summary")[0] == "baseline"
    assert len(tab.texts("table.board > tbody > tr")) == 7
    tab.js("document.querySelector('#arms details').open = true")
    assert "Cost per trial" in tab.texts("#arms h4")


def test_attribution_in_tables(tab: Tab, page: Path) -> None:
    tab.open(page)
    rows = [row.replace("\xa0", " ").split("\t") for row in tab.texts("#attribution tbody tr")]
    assert ["best data", "clean=oracle", "+7.50 [+6.50, +8.50]", "+1.25", "+20"] in rows
    assert ["both", "", "not known"] in rows
    assert ["data", "−7.25 [−8.25, −6.25]"] in rows
    assert ["model", "12.5 % [6.2, 25.0]", "6.2 % [−3.1, 12.5]"] in rows
    assert ["data", "75.0 % [50.0, 87.5]", "–"] in rows
    assert ["without clean=oracle", "undecided", "+0.50 [−0.50, +1.50]", "model=forest", "clean=odd"] in rows
    assert tab.texts(".turned th") == ["without clean=oracle"]


def test_the_index_leads_to_the_pages(tab: Tab, page: Path) -> None:
    path = page.parents[1] / "index.html"
    path.write_bytes(index(page.parents[1], "index.html"))
    tab.open(path)
    assert tab.texts("tbody .word") == ["data"]
    tab.click("table.studies th:nth-child(5) button")
    tab.click("tbody a")
    assert tab.texts("h1") == [HEAD.replace("95 %", "95\xa0%")]
    tab.open(path, size=PHONE)
    assert tab.js("return document.documentElement.scrollWidth") <= PHONE[0]
    assert tab.complaints() == []


def wide(arms: int, seeds: int) -> PageData:
    """A study of that many arms and seeds, with full configs, ledgers and receipts."""
    names = ["baseline", *(f"clean=strategy_{i} clean.k={i}" for i in range(arms - 1))]
    config = {
        name: {"_partial_": True, "_target_": f"harness.{name}", "k": 5}
        for name in ("model", "weak", "clean", "augment")
    }
    changed, records = cleaned(), []
    for name in names:
        for seed in range(seeds):
            records.append(
                {"key": key(name, seed), "arm": name, "seed": seed, "status": "done", "reason": None,
                 "trial": {**config, "clean": {"_target_": name}}, "receipts": {"clean": changed}, "facts": {"noise": "made " * 9, "n": 90},
                 "ledger": {"given": 900, "oracle": seed}, "cost": {"cpu_s": 1.0 + seed, "wall_s": 2.0}, "provenance": {}}
            )  # fmt: skip
    table = pd.DataFrame(
        [
            {"arm": one["arm"], "seed": one["seed"], "key": one["key"], "status": "done", "why": "", "test": 80.123 + one["seed"],
             "valid": 81.5, "delta": 0.25 * one["seed"], "cost_cpu_s": 1.234, "cost_wall_s": 2.345, "cost_peak_mb": 512.0}
            for one in records
        ]
    )  # fmt: skip
    effects = [
        Effect(
            arm=name, axis="data", factors=("clean",), reference="", n_trials=seeds, n_failed=0, n_missing=0, score=80.0,
            interval=Interval(i / 10, i / 10 - 1, i / 10 + 1, seeds, 450, 450 * seeds, 0.5, 0.01) if i else None,
            cpu_s=1.0, cpu_ratio=1.0, labels=0.0, gold=0.0, p=0.01, p_adjusted=0.1, letters="ab",
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    told = Study(
        name="wide", task="made", metric="accuracy", own_metric="accuracy", effects=effects, table=table, notes=[], scores=None,
        attribution=ANSWER, plan=None, records=records, classes=CLASSES, components=[], components_note="", briefs={}, strategies={},
        new_sets=NewSets(None, "all seeds train on the same rows"),
    )  # fmt: skip
    return page_data(told, {}, None, COMMAND, CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "seeds"), [(250, 20), (1000, 5)])
def test_a_study_of_5000_trials_opens_with_few_elements(tab: Tab, tmp_path: Path, arms: int, seeds: int) -> None:
    """What makes a page slow is counted, not timed: a busy machine would be slow with any page."""
    path = tmp_path / "index.html"
    path.write_bytes(render(wide(arms, seeds)))
    assert path.stat().st_size < 6e6
    tab.open(path)
    assert len(tab.texts("button.arm")) == arms
    whole = tab.js("return document.getElementsByTagName('*').length")
    assert whole < 90 * arms + 1000, "trials are not in the page before their arm is opened"
    tab.click("table.board th:nth-child(5) button")
    assert tab.js("return document.getElementsByTagName('*').length") == whole
    tab.js("document.querySelectorAll('button.arm')[3].click()")
    assert len(tab.texts(".opened .trials tbody tr")) == seeds
    assert tab.js("return document.getElementsByTagName('*').length") - whole < 20 * seeds + 300
    assert tab.complaints() == []


def test_a_small_page_is_small(page: Path) -> None:
    assert page.stat().st_size < 120e3


def test_the_first_screen_holds_the_answer_the_ladder_and_the_best_arms(tab: Tab, page: Path) -> None:
    tab.open(page, size=(1400, 1000))
    for seen in ("h1", ".ladder", ".best", ".answer"):
        assert tab.js("return document.querySelector(arguments[0]).getBoundingClientRect().bottom", seen) < 1000, seen
    ladder = [row.replace("\xa0", " ") for row in tab.texts(".ladder tbody tr")]
    assert [row.split()[:3] for row in ladder] == [["best", "model", "model=forest"], ["best", "data", "clean=oracle"]]
    assert ladder[0].endswith("+2.00 [+1.00, +3.00]")
    assert len(tab.texts(".best tbody tr")) == 4, "a control and arms without an effect are no best arms"
    order = tab.js("return [...document.querySelectorAll('main > section')].map(e => e.id)")
    assert order.index("figures") < order.index("leaderboard")
    assert tab.js("return document.querySelector('.eyebrow a').getAttribute('href')") == "../index.html"


def test_filters_stay_in_the_address(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.choose("#axis", "model")
    tab.type("#find", "forest")
    address = tab.js("return location.href")
    assert address.endswith("index.html?find=forest&axis=model")
    tab.driver.get("about:blank")
    tab.driver.get(address)
    assert tab.texts("button.arm") == ["model=forest"]
    assert tab.js("return document.querySelector('#find').value") == "forest"
    tab.driver.get(address.replace("axis=model", "axis=nothing"))
    assert set(tab.texts("button.arm")) == {"model=forest", "model=forest clean=oracle"}
    assert tab.complaints() == []


def test_words_are_explained_where_they_stand(tab: Tab, page: Path) -> None:
    tab.open(page)
    means = tab.js("return document.querySelector('table.board th:nth-child(5) button').title")
    assert means.startswith("How many points the arm scores more than the baseline")
    assert "Shapley" in tab.texts("#attribution caption")[2]
    assert tab.js("return document.querySelectorAll('abbr[title]').length") >= 1
    assert tab.js("return document.querySelectorAll('#words dt').length") == len(GLOSSARY)


def test_claims_stand_on_the_page_of_their_study(data: PageData, tmp_path: Path) -> None:
    verdicts = tmp_path / "claims"
    verdicts.mkdir()
    judged = {
        "claim": {"sentence": "<b>Data</b> wins.", "left": "best data", "right": "best model", "relation": "at least", "points": 1.0},
        "difference": {"value": 5.5, "low": 4.5, "high": -6.5}, "verdict": "supported", "reason": None,
    }  # fmt: skip
    (verdicts / "first.json").write_text(json.dumps(judged))
    (verdicts / "odd.json").write_text('{"verdict": "true"}')
    lines = claim_lines(tmp_path, ["first", "later"])
    assert [(one.name, one.word) for one in lines] == [("first", "supported"), ("odd", ""), ("later", "")]
    assert lines[0].numbers == "claimed: best data less best model at least 1 points; measured: +5.50 [+4.50, −6.50]"
    assert "is not a verdict: write it anew" in lines[1].numbers
    text = render(replace(data, claims=lines, root="../../")).decode()
    assert "&lt;b&gt;Data&lt;/b&gt; wins." in text
    assert 'href="../../claims/first.md"' in text
    assert 'href="../../../index.html"' in text
    assert "not judged yet" in text


def test_each_arm_stands_beside_its_references(data: PageData) -> None:
    gain = ReferenceGain("clean=oracle", "clean=drop", "negative_control", "clean=drop", 3.5, 1.0, 6.0, 0.01, 0.02)
    effects = [replace(one, beside=gain if one.arm == gain.arm else None) for one in data.effects]
    text = render(replace(data, effects=effects, references=[gain])).decode()
    assert "over its reference [95\xa0% interval]" in text
    assert '<span class="value sure">+3.50</span> <span class="interval">[+1.00,\xa0+6.00]</span>' in text
    assert '<span class="reference">negative control</span> +3.50 [+1.00,\xa0+6.00] clean=drop' in text
