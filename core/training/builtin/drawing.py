"""Plots, tables and the report of a trained model, as files in a folder. Knows no server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import classification_report, confusion_matrix, roc_curve

from core.training.builtin.data import Split, Table, as_csv
from core.training.builtin.families import Array, family_named
from core.training.builtin.modelling import Recipe, Trained, importance_rows, importances

PREDICTIONS_SHOWN = 200
CLASSES_DRAWN = 12
"""With more classes than this a curve for each would not be read: they are left to the table."""

BLUE, GREY = "#2f6db5", "#8a8f98"


def write_all(
    folder: Path,
    table: Table,
    rows: Split,
    recipe: Recipe,
    trained: Trained,
    cross_validation: Mapping[str, float],
) -> None:
    """Write ``plots/*.png``, ``tables/*.csv`` and ``report.md`` into ``folder``."""
    plots, tables = folder / "plots", folder / "tables"
    plots.mkdir()
    tables.mkdir()
    predicted = trained.pipeline.predict(rows.x_test)
    if table.classes:
        figures = _classification_plots(table, rows, trained, predicted)
        report = classification_report(
            rows.y_test, predicted, labels=table.classes, output_dict=True, zero_division=0.0
        )
        by_class = pd.DataFrame([{"class": name, **report[str(name)]} for name in table.classes])
        (tables / "by_class.csv").write_text(as_csv(by_class), encoding="utf-8")
    else:
        figures = _regression_plots(rows, predicted)
    weights = importances(trained, rows, recipe.seed)
    figures["column_importance"] = _importance_plot(weights)
    for name, figure in figures.items():
        figure.savefig(plots / f"{name}.png", dpi=90)
    sample = _predictions(table, rows, predicted)
    (tables / "predictions.csv").write_text(as_csv(sample), encoding="utf-8")
    (tables / "column_importance.csv").write_text(as_csv(weights), encoding="utf-8")
    text = _report(table, rows, recipe, trained, cross_validation, weights)
    (folder / "report.md").write_text(text, encoding="utf-8")


def _figure(
    width: float = 6.4, height: float = 4.8, left: float = 0.9, bottom: float = 0.65
) -> tuple[Figure, Any]:
    """A figure with one set of axes; sizes and margins in inches.

    The margins are counted from the labels, since Matplotlib takes longer to find a layout than
    to draw.
    """
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left / width, bottom / height, 1 - 0.25 / width, 1 - 0.4 / height)
    return figure, figure.subplots()


def _room(names: list[str]) -> float:
    """Inches that the longest label takes."""
    return 0.25 + 0.085 * max(len(name) for name in names)


def _text(value: object) -> str:
    """A name from the data, safe in a label: dollar signs would start a formula."""
    shown = str(value).replace("$", r"\$").replace("\n", " ")
    return shown if len(shown) <= 40 else shown[:39] + "…"


def _classification_plots(
    table: Table, rows: Split, trained: Trained, predicted: Array
) -> dict[str, Figure]:
    names = [_text(name) for name in table.classes]
    counts = confusion_matrix(rows.y_test, predicted, labels=table.classes)
    side, room = 2.5 + 0.3 * min(len(names), 40), _room(names) + 0.3
    figure, axes = _figure(side + room + 0.25, side + room + 0.4, room, room)
    shown = axes.imshow(counts, cmap="Blues")
    axes.set(title="Confusion matrix, test rows", xlabel="Predicted", ylabel="Actual")
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= CLASSES_DRAWN:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if count > counts.max() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    else:
        figure.colorbar(shown, ax=axes, label="rows")
    figures = {"confusion_matrix": figure}
    if len(names) <= CLASSES_DRAWN:
        figures["roc"] = _roc(table, rows, trained)
    return figures


def _roc(table: Table, rows: Split, trained: Trained) -> Figure:
    chances = trained.pipeline.predict_proba(rows.x_test)
    figure, axes = _figure()
    for number, name in enumerate(table.classes):
        actual = (rows.y_test == name).to_numpy()
        if actual.all() or not actual.any() or (len(table.classes) == 2 and number == 0):
            continue
        wrong, right, _ = roc_curve(actual, chances[:, number])
        axes.plot(wrong, right, label=_text(name))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="chance")
    axes.set(
        title="ROC curve, test rows",
        xlabel="False positive rate",
        ylabel="True positive rate",
    )
    axes.legend()
    return figure


def _regression_plots(rows: Split, predicted: Array) -> dict[str, Figure]:
    actual = rows.y_test.to_numpy()
    both, axes = _figure()
    axes.scatter(actual, predicted, s=14, color=BLUE, alpha=0.7)
    ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
    axes.plot(ends, ends, color=GREY, linestyle="--")
    axes.set(title="Predicted and actual, test rows", xlabel="Actual", ylabel="Predicted")
    left, more = _figure()
    more.scatter(predicted, actual - predicted, s=14, color=BLUE, alpha=0.7)
    more.axhline(0, color=GREY, linestyle="--")
    more.set(title="Residuals, test rows", xlabel="Predicted", ylabel="Actual minus predicted")
    return {"predicted_and_actual": both, "residuals": left}


def _importance_plot(weights: pd.DataFrame) -> Figure:
    top = weights.head(20).iloc[::-1]
    names = [_text(name) for name in top["column"]]
    room = _room(names)
    figure, axes = _figure(4.5 + room, 1.4 + 0.28 * len(top), room)
    axes.barh(range(len(top)), top["importance"], xerr=top["deviation"], color=BLUE, ecolor=GREY)
    axes.set_yticks(range(len(top)), names)
    title = "Column importance"
    if len(weights) > len(top):
        title += f" ({len(top)} of {len(weights)} columns)"
    axes.set(title=title, xlabel="Score lost when the column is shuffled")
    return figure


def _predictions(table: Table, rows: Split, predicted: Array) -> pd.DataFrame:
    sample = rows.x_test.head(PREDICTIONS_SHOWN).copy()
    shown = len(sample)
    actual = rows.y_test.to_numpy()[:shown]
    sample.insert(0, "row", sample.index)
    sample.insert(1, "actual", actual, allow_duplicates=True)
    sample.insert(2, "predicted", predicted[:shown], allow_duplicates=True)
    if table.classes:
        sample.insert(3, "right", actual == predicted[:shown], allow_duplicates=True)
    else:
        sample.insert(3, "error", predicted[:shown] - actual, allow_duplicates=True)
    return sample


def _cell(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _lines(head: tuple[str, ...], body: list[tuple[object, ...]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(_cell(value) for value in row)} |" for row in body),
        "",
    ]


def _report(
    table: Table,
    rows: Split,
    recipe: Recipe,
    trained: Trained,
    cross_validation: Mapping[str, float],
    weights: pd.DataFrame,
) -> str:
    family = family_named(recipe.family)
    measures = sorted(name.removeprefix("test_") for name in trained.metrics if "test_" in name)
    lines = [f"# {family.label} on {_cell(table.name)}", "", "## Data", ""]
    lines += _lines(
        ("What", "Value"),
        [
            ("Source", table.source),
            ("Task", table.task),
            ("Training rows", len(rows.x_train)),
            ("Test rows", len(rows.x_test)),
            ("Columns", len(table.features.columns)),
            *([("Classes", len(table.classes))] if table.classes else []),
        ],
    )
    lines += [f"- {_cell(note)}" for note in (*table.notes, *trained.warnings)]
    lines += ["", "## Hyperparameters", ""]
    lines += _lines(("Name", "Value"), [*recipe.hypers.items(), ("seed", recipe.seed)])
    lines += ["## Measures", ""]
    lines += _lines(
        ("Measure", "Training rows", "Test rows", "Cross-validation"),
        [
            (
                name,
                f"{trained.metrics[f'train_{name}']:.4g}"
                if f"train_{name}" in trained.metrics
                else "",
                f"{trained.metrics[f'test_{name}']:.4g}",
                f"{cross_validation[f'cv_{name}_mean']:.4g} "
                f"± {cross_validation[f'cv_{name}_std']:.2g}"
                if f"cv_{name}_mean" in cross_validation
                else "",
            )
            for name in measures
        ],
    )
    if cross_validation:
        lines += [f"Cross-validation: mean ± standard deviation of {recipe.folds} folds.", ""]
    lines += ["## Columns that matter most", ""]
    lines += [f"Measured on {importance_rows(rows)} of {len(rows.x_test)} test rows.", ""]
    lines += _lines(
        ("Column", "Score lost when shuffled"),
        [(row.column, f"{row.importance:.4f}") for row in weights.head(10).itertuples()],
    )
    shown = min(len(rows.x_test), PREDICTIONS_SHOWN)
    lines += [f"`tables/predictions.csv` shows {shown} of {len(rows.x_test)} test rows.", ""]
    return "\n".join(lines)
