"""Words a study's answer for people who decide: the verdict, why, what it costs, what to do next, and a short table.

All numbers are those of `harness.analysis`; this module words them. Gains are in percentage points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from harness.analysis.attribution import signed_points
from harness.analysis.choice import Estimate
from harness.analysis.effects import Effect
from harness.analysis.label_errors import LabelErrors
from harness.analysis.ladder import Ladder, Step
from harness.analysis.power import ALPHA, POWER, VerdictPilot, seeds_needed
from harness.analysis.scores import order_kept
from harness.analysis.study import Study
from harness.analysis.variance import ALL, EXAMPLES, REST, SPLIT, Component
from harness.arm import BASELINE, may_win
from harness.report.leaderboard import beside_in_words, effect_in_words, escape_markdown, number_ranks
from harness.report.verification import VERIFY
from harness.storage.packing import unpack
from harness.storage.sheets import sheet_of_rows

SUSPECTS = "rows_to_check.csv"
"""The file that lists the training rows which the best data strategy dropped or relabelled."""
USUAL_ERRORS = 0.033
"""The mean share of wrong labels in ten public test sets (Northcutt, Athalye and Mueller 2021, "Pervasive Label Errors
in Test Sets Destabilize Machine Learning Benchmarks", NeurIPS Datasets and Benchmarks)."""
WIDTH, BOARD = 100, 10
"""Columns of the terminal that the answer fits, and lines of the short table."""
UNSURE = 0.5
"""Validation is too small to choose if fewer redraws than this share choose the same arm again."""
_ARM = 44


def answer_paragraphs(study: Study) -> list[tuple[str, str]]:
    """Returns the answer of a study as pairs of a heading and a text, in the order in which they are read.

    The first says that nobody verified the test labels, if so. A study that cannot compare model and data answers the
    question that its arms ask, then says why it has no verdict.
    """
    told = [("Caution", line) for line in _cautions(study)]
    rungs = study.attribution.ladder if study.attribution else None
    if study.attribution is None or study.attribution.verdict is None or rungs is None:
        why = ("Verdict", f"None: {_no_verdict(study).removeprefix('No verdict: ')}")
        other = other_answer(study)
        return [*told, *other, *([] if study.components and other else [why])]
    word = study.attribution.verdict.word
    return [
        *told,
        ("Verdict", _headline(study, word, rungs)),
        ("Why", " ".join(_why(study, rungs, study.attribution.carried_by))),
        ("Choice", " ".join(_two_answers(study, rungs))),
        ("Cost", _costs(rungs, (study.plan or {}).get("price") or {})),
        ("Next", " ".join(_next_steps(study, word, rungs))),
    ]


def as_lines(study: Study) -> list[str]:
    """Returns the answer for a terminal of `WIDTH` columns, each text beside its heading, and the short table below."""
    lines = [
        line
        for heading, text in answer_paragraphs(study)
        for line in wrap(_printable(text), WIDTH, initial_indent=f"{heading:8} ", subsequent_indent=" " * 9)
    ]
    return [*lines, "", *map(_printable, _short_board(study))]


def _printable(text: str) -> str:
    """Returns text without control characters, which a name from someone else's folder may hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def answer_as_markdown(study: Study) -> bytes:
    """Returns the answer as paragraphs, the headings in bold."""
    told = [f"**{heading}.** {escape_markdown(text)}" for heading, text in answer_paragraphs(study)]
    return ("\n\n".join(told) + "\n\n").encode()


def is_unverified(study: Study) -> bool:
    """Returns whether a finished trial was scored on labels as they were given, which nobody verified."""
    return _facts_say(study, "test_labels")


def _facts_say(study: Study, labels: str) -> bool:
    return any(record["facts"].get(labels) == "given" for record in study.records if record["status"] == "done")


def _cautions(study: Study) -> Iterator[str]:
    """Yields what must be known before any number: test labels that nobody verified, a baseline that is no control."""
    if is_unverified(study):
        yield f"{_who_verified(study)} {_what_errors_change(study)}".strip()
    if _facts_say(study, "valid_labels"):
        yield _about_choosing(study)
    yield from (note.removeprefix("Warning: ") for note in study.notes if note.startswith("Warning: the baseline "))


def _who_verified(study: Study) -> str:
    """Says how many of the test labels somebody verified, and what the scores mean."""
    done = [record for record in study.records if record["status"] == "done"]
    counts = {one["facts"].get("test_verified", 0) for one in done}
    if counts == {0}:
        return (
            "Nobody has verified the test labels: scores are agreement with the labels as given (gold= names a column "
            "of true labels, or a file of verified ones)."
        )
    some = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{counts.pop()}"
    return (
        f"{some} of the {done[0]['facts'].get('test')} test labels are verified: these rows are scored by them, the "
        "others by the labels as given, which nobody has verified."
    )


def _about_choosing(study: Study) -> str:
    """Says what validation labels that nobody verified mean for the choice of arms, and how far they can be trusted."""
    told = (
        "Nobody has verified the validation labels: arms are chosen by their agreement with them, so one that repeats "
        "the labellers' errors can be chosen over one that is right, and cleaning looks worse than it is."
    )
    order = None if is_unverified(study) or study.scores is None else order_kept(study.scores)
    if order is None:
        return f"{told} A validation part with true labels (valid=FILE, gold=COLUMN) would choose better."
    return (
        f"{told} Here their ranks on validation and on the true test labels correlate by {signed_points(order)} over "
        "the arms (+1: the same order, 0: validation chooses blindly); a validation part with true labels would help."
    )


def _what_errors_change(study: Study) -> str:
    """Says how many wrong test labels would change the verdict, and among which rows they would have to be."""
    found, answer = study.label_errors, study.attribution
    if found is None or answer is None or answer.verdict is None or answer.ladder is None:
        return ""
    where = _where_errors_count(found)
    if not found.unverified:
        return where
    word, share = answer.verdict.word, f"of the {found.n:,} test labels"
    if word == "undecided":
        side = "data" if answer.ladder.difference.value > 0 else "the model"
        told = _not_enough(found.sign, share, f"take the lead from {side}")
        return f"{told} {_not_enough(found.turn, share, f'decide the verdict for {side}')} {where}"
    turn = _not_enough(found.turn, share, "leave the verdict undecided")
    return f"{turn} {_not_enough(found.sign, share, 'reverse it')} {where}"


def _not_enough(count: int | None, share: str, what: str) -> str:
    if count is None:
        return f"No number of wrong labels among those that nobody verified would {what}."
    many = "1 wrong one" if count == 1 else f"{count:,} wrong ones"
    return f"{many} {share}{', all in one direction,' if count > 1 else ''} would {what}."


def _where_errors_count(found: LabelErrors) -> str:
    """Says which rows count for the verdict: only those on which the two chosen arms differ."""
    if not found.differ:
        return "The two chosen arms predict alike on every test row, so no label changes their difference."
    if not found.unverified:
        return (
            f"All {found.differ:,} rows on which the two chosen arms differ are verified: no other test label changes "
            "their difference."
        )
    left = f"{found.unverified:,} of them unverified" if found.unverified < found.differ else "none of them verified"
    return f"Only the {found.differ:,} rows count on which the two chosen arms differ, {left} ({VERIFY})."


def _is_fragile(study: Study) -> bool:
    """Returns whether fewer wrong test labels than usual would change a verdict."""
    found = study.label_errors
    return found is not None and found.turn is not None and found.turn <= USUAL_ERRORS * found.n


def other_answer(study: Study) -> list[tuple[str, str]]:
    """Returns what a study that compares no model with data says: what moves the score, or which arm gains most.

    Pairs as in `answer_paragraphs`; none if no arm has an effect.
    """
    if study.components:
        return _what_moves(study)
    ranked = [one for one in study.effects if one.interval and may_win(one.reference)]
    best = max(ranked, key=lambda one: one.interval.effect if one.interval else 0.0, default=None)
    if best is None or best.interval is None:
        return []
    of = f" of {len(ranked)}, so chance flatters it" if len(ranked) > 1 else ""
    gain = f"{effect_in_words(best.interval)} points over the baseline"
    lead = "The largest effect is that of" if of else "The only effect is that of"
    return [("Answer", f"{lead} {best.arm}: {gain}{_over_reference(study, best.arm)}{of}.")]


def _what_moves(study: Study) -> list[tuple[str, str]]:
    """Words by how much a score moves from run to run, and by what, as standard deviations in points."""
    parts = {part.name: part for part in study.components}
    named = {ALL: "another training", SPLIT: "another split of the rows", EXAMPLES: "other test rows"}
    told = [(what, _sd(parts[name])) for name, what in named.items() if name in parts]
    streams = [part for name, part in parts.items() if name not in (*named, REST)]
    most = max(streams, key=lambda part: part.variance, default=None)
    inside = f"Of what is random in training, the {most.name} moves it most: by {_sd(most)}." if most else ""
    if not told:
        return [("Answer", inside)] if inside else []
    (first, size), *others = told
    head = f"With {first}, the score of the same arm on {study.task} moves by {size} (standard deviation)."
    more = [*(f"With {what}, by {by}." for what, by in others), *([inside] if inside else [])]
    return [("Answer", head), *([("Also", " ".join(more))] if more else [])]


def _sd(part: Component) -> str:
    value, low, high = part.sd
    return f"{value:.2f} points [{low:.2f}, {high:.2f}]"


def _no_verdict(study: Study) -> str:
    """Returns why a study has no verdict."""
    if study.attribution is None:
        return "the baseline never finished."
    return study.pilot if isinstance(study.pilot, str) and study.pilot else " ".join(study.attribution.notes[-1:])


def _headline(study: Study, word: str, rungs: Ladder) -> str:
    """Words the verdict in a sentence to repeat: who wins or is ahead, by how much, and how sure that is."""
    by = rungs.difference if rungs.difference.value > 0 or word == "data" else _negative(rungs.difference)
    inside = f"95 % interval {signed_points(by.low)} to {signed_points(by.high)}"
    data_ahead = word == "data" or (word == "undecided" and rungs.difference.value > 0)
    model = "keeping the model" if rungs.model.arm == BASELINE else "a better model"
    data = "leaving the data as they are" if rungs.data.arm == BASELINE else "better data"
    ahead, behind = (data, model) if data_ahead else (model, data)
    size = f"{abs(by.value):.2f} points of {study.metric}"
    if word != "undecided" and _is_fragile(study):
        return (
            f"Held back until test labels are verified: {ahead} is worth {size} more than {behind} on {study.task} "
            f"({inside}) if the labels are right, but fewer wrong ones than public test sets have on average "
            f"({100 * USUAL_ERRORS:.1f} %, Northcutt et al. 2021) would leave it undecided."
        )
    if word != "undecided":
        return f"{ahead[0].upper()}{ahead[1:]} is worth {size} more than {behind} on {study.task} ({inside})."
    if round(by.value, 2) == 0:
        return f"Undecided on {study.task}: model and data are level ({inside}). {_who_gains(rungs)}"
    lead = f"{ahead} is ahead of {behind} by {size}, but the {inside} includes zero"
    return f"Undecided on {study.task}: {lead}. {_who_gains(rungs)}"


def _negative(one: Estimate) -> Estimate:
    return Estimate(-one.value, -one.high, -one.low)


def _who_gains(rungs: Ladder) -> str:
    """Says which sides certainly gain over the baseline."""
    sure = [name for name, step in (("model", rungs.model), ("data", rungs.data)) if step.effect.low > 0]
    if len(sure) == 2:
        return "Both gain over the baseline."
    if sure:
        return f"Only the {sure[0]} side certainly gains over the baseline."
    return "Neither side certainly gains over the baseline."


def _why(study: Study, rungs: Ladder, carried_by: str | None) -> Iterator[str]:
    """Yields the gains of the best of each side and of both together, and the arm that the verdict depends on."""
    for name, step in (("model", rungs.model), ("data strategy", rungs.data)):
        if step.arm == BASELINE:
            yield f"No {name} beats the baseline on validation."
        else:
            yield f"Best {name}: {step.arm}, {_gain(step.effect)}{_over_reference(study, step.arm)}."
    kept = BASELINE in (rungs.model.arm, rungs.data.arm)
    if rungs.both is not None and not kept:
        yield f"Both together: {_gain(rungs.both.effect)}."
    elif not kept:
        yield "The two were not run together."
    if carried_by:
        yield f"One arm carries the verdict: without {carried_by} it is another."
    yield "Gains are on the test rows, over the baseline; both arms are chosen on validation."


def _over_reference(study: Study, arm: str) -> str:
    """Returns what an arm gains beyond its own reference; "" without one."""
    beside = next((effect.beside for effect in study.effects if effect.arm == arm), None)
    return f" ({beside_in_words(beside).replace(beside.words, f'over its reference {beside.words}')})" if beside else ""


# Two questions


def _two_answers(study: Study, rungs: Ladder) -> Iterator[str]:
    """Yields what choosing on validation gives, what the best arms can gain, and whether validation is too small."""
    rows = _validation_rows(study)
    of = f"your {rows:,} validation rows" if rows else "validation"
    model, data = rungs.model, rungs.data
    yield f"Choosing on {of}, you get {_sides(model.by_validation, data.by_validation, rungs.by_validation)}"
    yield f"The best arm of each side can gain {_sides(model.at_best, data.at_best, rungs.at_best)}"
    for name, step in (("model", model), ("data", data)):
        if step.chosen_again is not None and step.chosen_again < UNSURE:
            yield _too_small(study, name, step, rows)


def _sides(model: Estimate | None, data: Estimate | None, difference: Estimate) -> str:
    told = [f"{name} {_gain(one)}" for name, one in (("model", model), ("data", data)) if one]
    return f"{', '.join([*told, f'data minus model {_gain(difference)}'])}."


def _validation_rows(study: Study) -> int | None:
    """Returns how many validation rows a trial has; None if the records do not say."""
    counts = [record["facts"].get("valid") for record in study.records if record["status"] == "done"]
    return next((int(count) for count in counts if isinstance(count, int) and count > 0), None)


def _too_small(study: Study, axis: str, step: Step, rows: int | None) -> str:
    """Says that validation cannot choose the best of an axis, and which arm scored higher on the test rows."""
    share = 100 * (step.chosen_again or 0.0)
    few = f"{rows:,} validation rows are too few" if rows else "Validation is too small"
    what = "data strategy" if axis == "data" else axis
    told = f"{few} to choose the best {what}: only {share:.0f} % of redraws choose {step.arm} again"
    rivals = [one for one in study.effects if one.axis == axis and one.interval and may_win(one.reference)]
    best = max(rivals, key=lambda one: one.interval.effect if one.interval else 0.0, default=None)
    if best is None or best.interval is None or best.arm == step.arm or best.interval.effect <= step.effect.value:
        return f"{told}."
    return f"{told}; on the test rows {best.arm} gained most, {effect_in_words(best.interval)}."


def _gain(effect: Estimate) -> str:
    value, *ends = map(signed_points, (effect.value, effect.low, effect.high))
    return f"{value} [{', '.join(ends)}]"


def _costs(rungs: Ladder, price: Mapping[str, Any]) -> str:
    """Says what the best of each side costs beyond the baseline: processor time, labels, and money if it is priced."""
    steps = [step for step in (rungs.model, rungs.data) if step.arm != BASELINE]
    return " ".join(_cost(step, price) for step in steps) or "The baseline stays: nothing is spent."


def _cost(step: Step, price: Mapping[str, Any]) -> str:
    """Words the cost of one arm per trial; money per point only where the arm gains."""
    seconds = f"{abs(step.cpu_s):.1f} CPU-seconds {'more' if step.cpu_s >= 0 else 'less'} per training"
    labels = f"{step.labels:.0f} labels bought" if step.labels > 0 else "no labels bought"
    each = {name: float(price[name]) for name in ("label", "cpu_hour") if price.get(name) is not None}
    if not each:
        return f"{step.arm}: {seconds}, {labels}."
    money = step.labels * each.get("label", 0.0) + step.cpu_s / 3600 * each.get("cpu_hour", 0.0)
    per_point = f", {money / step.effect.value:.4g} per point" if step.effect.value > 0 and money > 0 else ""
    return f"{step.arm}: {seconds}, {labels}; at your prices {money:.4g}{per_point}."


# What to do next


def _next_steps(study: Study, word: str, rungs: Ladder) -> Iterator[str]:
    """Yields what to do: the arm to adopt, the rows to look at, or what would decide the verdict."""
    if study.to_verify:
        count = len(study.to_verify)
        yield (
            f"Verify test labels: fill in the column gold of {VERIFY} ({count} rows, the most telling first; a part is "
            f"fine), then harness report {study.name} gold={VERIFY} scores by them and trains nothing."
        )
    if word != "undecided":
        best = rungs.data if word == "data" else rungs.model
        yield f"Adopt {best.arm}{' once the verdict holds on verified labels' if _is_fragile(study) else ''}."
    if rungs.both is not None and rungs.interaction is not None and BASELINE not in (rungs.model.arm, rungs.data.arm):
        better = rungs.both.effect.value > max(rungs.model.effect.value, rungs.data.effect.value)
        yield (
            "Try both together: they gain more than either alone." if better else "Both together gain no more than one."
        )
    if rows_to_check(study):
        yield f"Look at the rows in {SUSPECTS}: {rungs.data.arm} dropped or relabelled them."
    if word == "undecided":
        yield _what_decides(study)


def _what_decides(study: Study) -> str:
    """Says how many seeds or test rows would decide the difference that was measured, and how long that takes."""
    found = study.pilot
    if not isinstance(found, VerdictPilot):
        return f"What would decide it cannot be planned: {found}"
    effect = abs(found.difference)
    if round(effect, 2) == 0:
        return "The two sides are level: no number of seeds separates what does not differ."
    need = seeds_needed(effect, found.pilot, power=POWER, alpha=ALPHA)
    size = f"If the true difference is the measured {effect:.2f} points, "
    if need.seeds is None:
        asked = f"more than {need.examples:,} test rows" if need.examples else "more test rows than can be counted"
        return f"{size}no number of seeds decides it on these {found.pilot.n:,} test rows: it takes {asked}."
    more = max(0, need.seeds - found.pilot.r)
    if not more:
        return (
            f"{size}{found.pilot.r} seeds should decide it, and do not: the choice of the two arms is itself "
            "uncertain, or they differ on few test rows. More test rows help most."
        )
    lasts = duration_in_words(more * _seed_cpu_s(study))
    seeds = f"{need.seeds:,} seeds decide it ({more:,} more, about {lasts} of processor time)"
    return f"{size}{seeds}{_command(study, need.seeds)}."


def _command(study: Study, seeds: int) -> str:
    if study.plan is None:
        return ""
    word = "precision.max_seeds" if study.plan.get("precision") else "seeds"
    return f": harness -m experiments={study.name} {word}={seeds}"


def _seed_cpu_s(study: Study) -> float:
    """Returns the processor time of one seed of all arms, in seconds."""
    done = study.table[study.table["status"] == "done"]
    return float(done.groupby("arm")["cost_cpu_s"].mean().sum()) if len(done) else 0.0


def duration_in_words(seconds: float) -> str:
    """Returns a duration in a suitable unit."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


# The rows to look at


def rows_to_check(study: Study) -> list[dict[str, object]]:
    """Returns the training rows that the best data strategy's cleaning dropped or relabelled, most often first.

    Empty unless data wins, or the strategy certainly gains. Each row has `id`, `what` was done, the label `given` and
    the one `suggested` (None where the row was dropped), and on how many `seeds`.
    """
    rungs = study.attribution.ladder if study.attribution else None
    if study.attribution is None or rungs is None or rungs.data.arm == BASELINE:
        return []
    won = study.attribution.verdict is not None and study.attribution.verdict.word == "data"
    if not won and rungs.data.effect.low <= 0:
        return []
    mine = [one for one in study.records if one["arm"] == rungs.data.arm and one["status"] == "done"]
    counts = Counter(row for record in mine for row in _touched(record["receipts"].get("clean") or {}, study.classes))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], str(item[0])))
    return [
        {"id": name, "what": what, "given": given, "suggested": better, "seeds": f"{count} of {len(mine)}"}
        for (name, what, given, better), count in ranked
    ]


def suspects_as_csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Returns the rows to look at as CSV."""
    return sheet_of_rows(rows)


def _touched(receipt: Mapping[str, Any], classes: Sequence[str]) -> Iterator[tuple[str, str, str | None, str | None]]:
    """Yields id, what was done, and the class before and after of each row that one trial dropped or relabelled."""
    if receipt.get("n_dropped"):
        yield from ((str(name), "dropped", None, None) for name in unpack(dict(receipt["dropped"])).tolist())
    if not receipt.get("n_relabelled"):
        return
    changed = {part: unpack(dict(receipt["changed"][part])) for part in ("ids", "class_before", "label_after")}
    after = changed["label_after"] if changed["label_after"].ndim == 1 else changed["label_after"].argmax(1)
    for name, old, new in zip(changed["ids"].tolist(), changed["class_before"].tolist(), after.tolist(), strict=True):
        if old != new:
            yield str(name), "relabelled", classes[old] if old >= 0 else None, classes[new]


# The short table


def _short_board(study: Study) -> list[str]:
    """Returns at most `BOARD` lines of `WIDTH` columns: head, baseline, best arms, and their nearest references."""
    ranked = list(number_ranks(study.effects))
    winners = [pair for pair in ranked if may_win(pair[1].reference)]
    others = [pair for pair in ranked if not may_win(pair[1].reference)]
    room = BOARD - 1
    few = others[: max(2, room - len(winners))]
    shown = [*winners[: room - min(len(few), 2)], *few]
    rows = [_board_row(rank, effect) for rank, effect in shown[:room]]
    left = len(ranked) - len(rows)
    head = ("rank", f"arm{f' (and {left} more in leaderboard.md)' if left else ''}", study.metric[:10], "effect")
    return [_in_columns(row) for row in (head, *rows)]


def _board_row(rank: int | None, effect: Effect) -> tuple[str, str, str, str]:
    kind = {"negative_control": " (control)", "upper_bound": " (bound)"}.get(effect.reference, "")
    name = effect.arm if len(effect.arm) + len(kind) <= _ARM else f"{effect.arm[: _ARM - 1 - len(kind)]}…"
    score = "–" if effect.score is None else f"{effect.score:.2f}"
    gain = effect_in_words(effect.interval) if effect.interval else "baseline" if effect.arm == BASELINE else "no delta"
    return ("–" if rank is None else str(rank), f"{name}{kind}", score, gain)


def _in_columns(row: tuple[str, str, str, str]) -> str:
    rank, arm, score, gain = row
    return f"{rank:>4}  {arm:{_ARM}}  {score:>10}  {gain}".rstrip()[:WIDTH]
