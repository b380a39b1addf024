"""Reads published result tables as cells of model by data: CSVs of facts with a source per row, and original files.

Scores are in points of their metric. What a table calls a recipe or an augmentation is its data axis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.errors import BadInput
from harness.storage import reader

NEEDED = ("table", "model", "data", "score", "metric", "lower_is_better", "source")
OPTIONAL = ("extra", "note")
SHALLOW = ("resnet18", "resnet34")
DEEP = ("resnet50", "resnet101", "resnet152", "resnext50_32x4d")
RECIPES = ("tv_in1k", "gluon_in1k", "a3_in1k", "a2_in1k", "a1_in1k")
"""Recipes that shallow and deep networks have; the deep ones also have `NEWER`."""
NEWER = "tv2_in1k"
POLICY_ROWS = ("baseline", "cutout", "autoaugment", "fast_aa_direct")
TRANSFER = "fast_aa_transfer"
_IMAGENET = {
    "results-imagenet.csv": "timm ResNets, ImageNet",
    "results-imagenet-real.csv": "timm ResNets, ImageNet ReaL labels",
    "results-imagenetv2-matched-frequency.csv": "timm ResNets, ImageNetV2",
}
_WHOLE = (*_IMAGENET, "fastaa_cifar_error.csv", "dclm_evals.csv", "confident_learning_table2.csv")
"""Names of the original files of the literature that this module knows."""
_SIZES: Mapping[str, float] = {"1b": 28_795_904_000, "7b": 137_788_211_200}
"""DCLM's models, with the number of tokens in their usual budget."""
_SMALL = r"-d=1024_l=24_h=8-.*"
"""The end of a data variant's name in the files of DCLM's smallest model."""


@dataclass(frozen=True, eq=False)
class Published:
    """Holds one published table.

    `cells` has one row per cell: model, data, score and extra, in the order of publication; a ladder starts at the
    first one. `extra` names the group of a cell beside the core; it is "" for the core.
    """

    name: str
    metric: str
    lower: bool
    source: str
    note: str
    cells: pd.DataFrame


def literature() -> Path:
    """Returns the folder of facts that come with the harness: inside the package, or beside it in the checkout."""
    packaged = Path(__file__).parents[1] / "experiments" / "literature"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "experiments" / "literature"


def read_embedded() -> list[Published]:
    """Returns the tables of facts that come with the harness, file by file."""
    return [table for path in sorted(literature().glob("*.csv")) for table in facts(path)]


def read_given(place: Path) -> list[Published]:
    """Returns the tables of one file, or of all files in a folder: known original files, and CSVs of facts.

    The files may also lie in a subfolder `literature`. BadInput if there are none.
    """
    if place.is_file():
        return _tables(place)
    folder = place / "literature" if (place / "literature").is_dir() else place
    if not folder.is_dir():
        raise BadInput(f"there is no file or folder {place}: give a CSV of facts, or a folder of them")
    found = [table for path in sorted(folder.glob("*.csv")) if _is_read(path) for table in _tables(path)]
    if not found:
        raise BadInput(f"{place} holds no published table: give a CSV of facts, or a folder of them")
    return found


def passed_over(place: Path) -> list[Path]:
    """Returns the CSVs of a folder that `read_given` skips, because they hold no tables of facts."""
    folder = place / "literature" if (place / "literature").is_dir() else place
    return [path for path in sorted(folder.glob("*.csv")) if not _is_read(path)]


def _is_read(path: Path) -> bool:
    """Returns whether a file is a known original file, or its header has the column `table` of a CSV of facts."""
    if path.name in _WHOLE:
        return True
    return "table" in map(str.strip, reader.column_names(path))


def merge_tables(ours: Sequence[Published], theirs: Sequence[Published]) -> list[Published]:
    """Returns both lists of tables; a table of `theirs` replaces one of ours with the same name."""
    return list((_named(ours) | _named(theirs)).values())


def facts(path: Path) -> list[Published]:
    """Returns the tables of a CSV with one cell per row; BadInput for a missing column and for an unreadable row."""
    rows = read_columns(path, NEEDED)
    for name in OPTIONAL:
        rows[name] = rows.get(name, "")
    if rows.empty:
        raise BadInput(f"{path} has no row below its head")
    for name in NEEDED:
        for at in rows.index[rows[name] == ""]:
            raise BadInput(f"{path}, {at}: {name} is empty")
    for at, said in rows.loc[~rows["lower_is_better"].isin(["yes", "no"]), "lower_is_better"].items():
        raise BadInput(f"{path}, {at}: lower_is_better is '{said}': write yes or no")
    rows["score"] = _scores(path, rows["score"])
    return [_of_facts(path, str(name), part) for name, part in rows.groupby("table", sort=False)]


def read_columns(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Returns the cells of a CSV file as text, stripped; each row is indexed by its place in the file (`line 2`).

    BadInput if a needed column is missing, and as `reader.read_text`. Rows whose cells are all empty are left out.
    """
    rows = reader.read_strings(path).rename(columns=str.strip)
    head = list(rows.columns)
    for name in needed:
        if head.count(name) != 1:
            fault = "two columns" if name in head else "no column"
            raise BadInput(f"{path} has {fault} '{name}': it needs {', '.join(needed)}, once each")
    rows = rows.apply(lambda column: column.str.strip()).set_axis(reader.row_places(path, len(rows)))
    return rows[(rows != "").any(axis=1)]


def imagenet(path: Path) -> pd.DataFrame:
    """Returns top-1 accuracy at 224 px by network and training recipe, from timm's table at `path`; nan if missing."""
    rows = read_columns(path, ("model", "img_size", "top1"))
    rows = rows.assign(score=_scores(path, rows["top1"]))[rows["img_size"] == "224"]
    named = rows["model"].str.split(".", n=1, expand=True).reindex(columns=[0, 1])
    rows = rows.assign(model=named[0], data=named[1].fillna(""))
    return _once(path, rows).pivot_table(index="model", columns="data", values="score", aggfunc="first")


def augmentations(path: Path) -> dict[str, pd.DataFrame]:
    """Returns test error by network and augmentation policy for each data set of Fast AutoAugment's table at `path`."""
    policies = [*POLICY_ROWS, TRANSFER]
    rows = read_columns(path, ("dataset", "model", *policies))
    for name in policies:
        rows[name] = _scores(path, rows[name])
    return {str(name): part.set_index("model")[policies] for name, part in rows.groupby("dataset", sort=False)}


def _tables(path: Path) -> list[Published]:
    """Returns the tables of a file, which its name tells how to read."""
    if path.name in _IMAGENET:
        return [_of_imagenet(path)]
    if path.name == "fastaa_cifar_error.csv":
        return list(_of_augmentations(path))
    if path.name == "dclm_evals.csv":
        return _of_dclm(path)
    if path.name == "confident_learning_table2.csv":
        return list(_of_confident(path))
    return facts(path)


def _of_facts(path: Path, name: str, rows: pd.DataFrame) -> Published:
    for column in ("metric", "lower_is_better"):
        if len(rows[column].unique()) > 1:
            raise BadInput(f"{path}: table '{name}' has two values of {column}: {', '.join(rows[column].unique())}")
    sources, notes = ("; ".join(filter(None, rows[column].unique())) for column in ("source", "note"))
    lower = bool((rows["lower_is_better"] == "yes").all())
    return Published(name, rows["metric"].iloc[0], lower, sources, notes, _cells(_once(path, rows)))


def _of_imagenet(path: Path) -> Published:
    scores = imagenet(path)
    nets, recipes = [*DEEP, *SHALLOW], [*RECIPES, NEWER]
    absent = [f"{net}.tv_in1k" for net in nets if net not in scores.index]
    absent += [f"{DEEP[0]}.{recipe}" for recipe in recipes if recipe not in scores.columns]
    if absent:
        raise BadInput(f"{path} has no model '{absent[0]}' at 224 px")
    cells = _long(scores.loc[nets, recipes])
    cells["extra"] = np.where(cells["model"].isin(SHALLOW), "ResNet-18/34", "")
    source = f"Wightman 2019, PyTorch image models: huggingface/pytorch-image-models, {path.name} (Apache-2.0)"
    note = "Images of 224 px. A recipe is all of the training (augmentation, loss, length, optimiser) and counts as "
    return Published(_IMAGENET[path.name], "top-1 accuracy, %", False, source, f"{note}data.", _cells(cells))


def _of_augmentations(path: Path) -> Iterator[Published]:
    source = "Lim et al. 2019, Fast AutoAugment: kakaobrain/fast-autoaugment, README (MIT)"
    for name, errors in augmentations(path).items():
        cells = _long(errors)
        cells["extra"] = np.where(cells["data"] == TRANSFER, TRANSFER, "")
        title = f"Fast AutoAugment, {name.upper().replace('CIFAR', 'CIFAR-')}"
        yield Published(title, "test error, %", True, source, "", _cells(cells))


def _of_dclm(path: Path) -> list[Published]:
    """Returns two tables of DCLM's own runs at their usual budgets: the ladder of the 1B model, and sizes by data."""
    rows = read_columns(path, ("file", "data", "model", "tokens", "core_v2"))
    small = rows["file"].str.contains(_SMALL)
    rows = rows.assign(
        size=rows["model"].mask(small, "0.4b"),
        data=rows["data"].str.replace(_SMALL, "", regex=True),
        tokens=pd.to_numeric(rows["tokens"], errors="coerce"),
        score=100 * _scores(path, rows["core_v2"]),
    )
    usual = small | np.isclose(rows["tokens"], rows["size"].map(_SIZES).astype(float), rtol=1e-6)
    rows = rows[usual]
    if set(rows["size"]) != {"0.4b", *_SIZES}:
        raise BadInput(f"{path} lacks runs of DCLM's sizes 0.4b, 1b and 7b at their usual budgets")
    return [_dclm_ladder(rows), _dclm_sizes(rows)]


def _dclm_ladder(rows: pd.DataFrame) -> Published:
    """Returns all runs of the 1B model as data variants, worst first, and the larger model on the worst one's data."""
    runs = rows[rows["size"] == "1b"].sort_values(["score", "file"], ignore_index=True)
    larger = rows[(rows["size"] == "7b") & (rows["data"] == runs["data"][0])].sort_values("score", ignore_index=True)
    cells = pd.DataFrame({"model": "1B", "data": [_run(file) for file in runs["file"]], "score": runs["score"]})
    if larger.empty:
        raise BadInput(f"no run of DCLM's 7B model has the data {runs['data'][0]}")
    cells.loc[len(cells)] = ["24 x the FLOPs", cells["data"][0], larger["score"][0]]
    note = (
        f"Each run is a data variant: {len(runs)} runs under {runs['data'].nunique()} names of data; some differ in "
        "learning rate or weight decay only. The larger model is the 7B with 4.8 times the tokens, in its worst run on "
        "the data of the worst 1B run."
    )
    return Published("DCLM, one 1B model", "CORE, %", False, _dclm_source(), note, _cells(cells.assign(extra="")))


def _dclm_sizes(rows: pd.DataFrame) -> Published:
    """Returns sizes by names of data, each cell the mean of its runs; the smallest size is an extra."""
    cells = rows.assign(model=rows["size"]).groupby(["model", "data"])["score"].mean().reset_index()
    cells["extra"] = np.where(cells["model"] == "0.4b", "the 0.4B model", "")
    cells = cells.sort_values(["extra", "model", "data"], ignore_index=True)
    note = "Each size at its usual budget, 20 tokens per parameter. A cell is the mean of its runs."
    return Published("DCLM, sizes by data", "CORE, %", False, _dclm_source(), note, _cells(cells))


def _dclm_source() -> str:
    return "Li et al. 2024, DataComp-LM: mlfoundations/dclm, evaluations (MIT)"


def _run(file: str) -> str:
    """Returns a run's name without the parts that all runs share."""
    return re.sub(r"^evaluation_|_heavy|-cd=3e-05|-bs=256|-mult=1|-tokens=\d+|\.json$", "", file)


def _of_confident(path: Path) -> Iterator[Published]:
    """Yields one ladder per noise rate: the mean over sparsities of each method in confident learning's table 2."""
    rows = read_columns(path, ("method",))
    rows = rows.iloc[np.argsort(rows["method"] != "baseline", kind="stable")]
    if list(rows["method"]).count("baseline") != 1 or rows["method"].duplicated().any():
        raise BadInput(f"{path}: each method must occur once, and one of them must be baseline")
    cleans = rows["method"].str.startswith("CL:")
    cells = pd.DataFrame({
        "model": rows["method"].mask(cleans, "baseline"), "data": rows["method"].where(cleans, "as given"), "extra": "",
    })  # fmt: skip
    source = "Northcutt et al. 2021, Confident learning: cgnorthcutt/confidentlearning-reproduce, table 2 (MIT)"
    note = (
        "Mean over the sparsities of the noise. Cleaning by confident learning (CL) changes the data; reed, smodel "
        "and mentornet change how the model learns from them."
    )
    names = [str(name) for name in rows]
    for noise in sorted({name.split("_")[0] for name in names if name.startswith("noise")}):
        scores = [_scores(path, rows[name]) for name in names if name.startswith(f"{noise}_")]
        title = f"Confident learning, CIFAR-10, {100 * float(noise.removeprefix('noise')):.0f} % noise"
        found = cells.assign(score=sum(scores) / len(scores))
        yield Published(title, "accuracy, %", False, source, note, _cells(found))


def _long(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per cell that has a score, network by network."""
    rows = [
        (model, variant, scores.loc[model, variant])
        for model in scores.index for variant in scores.columns if pd.notna(scores.loc[model, variant])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "data", "score"])


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["model", "data", "score", "extra"]].reset_index(drop=True)


def _once(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows; BadInput if two of them are of the same cell."""
    twice = rows[rows.duplicated(["model", "data"])]
    if len(twice):
        where = f"'{twice['table'].iloc[0]}', " if "table" in twice else ""
        raise BadInput(f"{path}: the cell {where}{twice['model'].iloc[0]} × {twice['data'].iloc[0]} occurs twice")
    return rows


def _scores(path: Path, texts: pd.Series) -> pd.Series:
    """Returns text as numbers; BadInput names the line of the first that is not a number."""
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    for at, said in texts[~np.isfinite(numbers)].items():
        raise BadInput(f"{path}, {at}: the score '{said}' is not a number")
    return numbers


def _named(tables: Sequence[Published]) -> dict[str, Published]:
    """Returns the tables by name; BadInput if two have the same name."""
    found: dict[str, Published] = {}
    for table in tables:
        if found.setdefault(table.name, table) is not table:
            raise BadInput(f"two tables are called '{table.name}': give one of them another name")
    return found
