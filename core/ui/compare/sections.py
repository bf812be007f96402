"""What each section of the differences reads, and the rows that come of it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import streamlit as st

from core import formats
from core.errors import InvalidInput, NotAllowed, NotFound, TooLarge
from core.mlflow_api.nouns import ModelInfo, Run
from core.mlflow_api.tracking import ALL
from core.runs import contents, differences, directions
from core.runs.differences import Difference
from core.texts import t
from core.ui import artifacts, runs
from core.ui.run import models

OWN_FAULT = (InvalidInput, NotAllowed, NotFound, TooLarge)
"""Errors of one run's files; the other runs can be compared all the same."""

HASHED = 50_000_000
"""Bytes that are read at most to tell files of one size apart."""


@dataclass
class Section:
    """Rows over all runs, and what has to be said about them."""

    rows: list[Difference]
    said: list[str] = field(default_factory=list)
    """Plain text."""
    roots: list[str] = field(default_factory=list)
    """Where the files of each run lie, for the section of artifacts."""
    same: str = "differences.none"
    """The text for when nothing differs."""


def params(found: Sequence[Run]) -> Section:
    """Params, opened where they are JSON or YAML."""
    return Section(differences.of_params(found))


def metrics(found: Sequence[Run]) -> Section:
    """Last values, with the directions that names and experiments give."""
    here = {run.experiment_id for run in found}
    known = directions.of_experiments(e for e in runs.experiments(ALL) if e.id in here)
    return Section(
        differences.of_metrics(found, lambda name: directions.direction(name, known)),
        [t("differences.last_values")],
    )


def tags(found: Sequence[Run]) -> Section:
    """Attributes, then tags."""
    names = runs.experiment_names(sorted({run.experiment_id for run in found}))
    return Section(differences.of_attributes(found, names) + differences.of_tags(found))


def code(found: Sequence[Run]) -> Section:
    """Commit, source, entry point."""
    return Section(differences.of_code(found))


def inputs(found: Sequence[Run]) -> Section:
    """Data sets."""
    return Section(differences.of_inputs(found))


def signature(found: Sequence[Run]) -> Section:
    """Signatures of the models logged last."""
    made, said = _models(found)
    return Section(differences.of_signatures(made), said)


def requirements(found: Sequence[Run]) -> Section:
    """Packages of the models logged last."""
    made, said = _models(found)
    return Section(differences.of_requirements(made), said)


def files(found: Sequence[Run]) -> Section:
    """Files of the runs or of the models that they logged last, at any depth, with their size."""
    sources = ["run", "model"] if any(run.logged_models for run in found) else ["run"]
    with st.container(horizontal=True, vertical_alignment="center"):
        source = "run"
        if len(sources) > 1:
            source = st.segmented_control(
                t("differences.files.of"),
                sources,
                default="run",
                required=True,
                format_func=lambda s: t(f"differences.files.of_{s}"),
                key="files_of",
                label_visibility="collapsed",
            )
        hashed = st.toggle(
            t("differences.files.contents"),
            key="files_contents",
            help=t("differences.files.contents_help", cap=formats.size(HASHED)),
        )
    roots: list[str] = []
    listings: list[contents.Listing] = []
    said: list[str] = []
    with _Progress(len(found)) as progress:
        for run in found:
            try:
                last = models.last(run) if source == "model" else None
                root = run.artifact_uri if source == "run" else last.location if last else ""
                listing = artifacts.walk(root) if root else contents.Listing({}, complete=True)
            except OWN_FAULT as error:
                root, listing = "", contents.Listing({}, complete=True)
                said.append(f"{formats.shorten(run.name, 40)}: {error.what}")
            if not listing.complete:
                most = contents.FILES
                said.append(t("differences.files.cut", run=formats.shorten(run.name, 40), n=most))
            roots.append(root)
            listings.append(listing)
            progress.step()
    values = [{path: _size(size) for path, size in x.files.items()} for x in listings]
    if hashed:
        said += _hash(values, listings, roots)
    else:
        said.append(t("differences.files.sizes"))
    same = "differences.none" if hashed else "differences.files.same"
    return Section(differences.of_files(values), said, roots, same)


def _size(size: int | None) -> str:
    return formats.NONE if size is None else f"{size:,} B"


def _hash(
    values: list[dict[str, str]], listings: Sequence[contents.Listing], roots: Sequence[str]
) -> list[str]:
    """Put a digest beside each size that two runs share; what was not read is told."""
    left, skipped = HASHED, 0
    shared = [
        (i, path)
        for path in dict.fromkeys(p for x in values for p in x)
        for i, of_run in enumerate(values)
        if sum(other.get(path) == of_run.get(path) for other in values) > 1 and path in of_run
    ]
    with _Progress(len(shared)) as progress:
        for i, path in shared:
            size = listings[i].files[path] or 0
            if size > left:
                skipped += 1
            else:
                left -= size
                digest = hashlib.sha256(artifacts.contents(roots[i], path, size)).hexdigest()
                values[i][path] += f" · {digest[:8]}"
            progress.step()
    return [t("differences.files.not_hashed", n=skipped)] if skipped else []


def _models(found: Sequence[Run]) -> tuple[list[ModelInfo | None], list[str]]:
    made: list[ModelInfo | None] = []
    said: list[str] = []
    several = 0
    with _Progress(len(found)) as progress:
        for run in found:
            try:
                model = models.last(run)
                made.append(models.info(model) if model else None)
            except OWN_FAULT as error:
                made.append(None)
                said.append(f"{formats.shorten(run.name, 40)}: {error.what}")
            several += len(run.logged_models) > 1
            progress.step()
    without = sum(model is None for model in made)
    if without:
        said.append(t("differences.models.none", n=without))
    if several:
        said.append(t("differences.models.several", n=several))
    return made, said


class _Progress:
    """A bar for what takes a call for each run; it is gone when the work is done."""

    def __init__(self, count: int) -> None:
        self._count, self._done = count, 0
        self._place = st.empty()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._place.empty()

    def step(self) -> None:
        self._done += 1
        self._place.progress(
            self._done / self._count,
            t("differences.reading", n=self._done, of=self._count),
        )


SECTIONS: dict[str, Callable[[Sequence[Run]], Section]] = {
    "params": params,
    "metrics": metrics,
    "tags": tags,
    "inputs": inputs,
    "signature": signature,
    "code": code,
    "requirements": requirements,
    "artifacts": files,
}
