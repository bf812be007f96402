"""What is read of a model before anything is drawn."""

from dataclasses import dataclass, replace
from datetime import timedelta

import streamlit as st

from core.errors import DeckError, NotFound
from core.ledger import now
from core.registry import catalogue
from core.registry.catalogue import Dossier
from core.texts import t
from core.ui import errors, parts
from core.ui.deck import deck, read
from core.ui.model.whole import Readers, Versions, Whole
from core.ui.navigation import asked

FIRST = 100
"""Versions that are read before the page is drawn; of more, the others are read beside it."""
PATIENCE = 0.25
"""Seconds to wait for the others: a database gives 5,000 in a tenth of a second."""
OLD = timedelta(seconds=30)
"""From this age on the page says that the older versions are not of this moment."""
_LOOK_AGAIN = 0.5


@dataclass(frozen=True)
class Look:
    """What was read of a model."""

    dossier: Dossier
    whole: Whole | None = None
    """The reading of the versions beyond the first ones; None where there are no more."""
    trouble: DeckError | None = None
    """Why this is what was known before and not the present state."""

    @property
    def certain(self) -> bool:
        """Whether this is the present state of all versions, so that decisions may be made."""
        return self.trouble is None and self.dossier.complete


def look(name: str) -> Look:
    """Read a model; where MLflow does not answer, what the person saw last, so that a form on the
    page keeps what was typed.

    Raises:
        NotFound: no name was given, or there is no such model.
        DeckError: MLflow does not answer, and nothing was seen before.
    """
    if not name:
        raise NotFound(t("model.no_name"), t("model.no_name_next"))
    remembered = f"model:last:{name}"
    try:
        found = _look(name)
    except DeckError as error:
        last: Look | None = st.session_state.get(remembered)
        if last is None or not error.retryable:
            raise
        return replace(last, trouble=error)
    st.session_state[remembered] = found
    return found


def wanted_version() -> int | None:
    """The version that the link names; 0 where that is no number, None where it names none."""
    text = asked("version")
    return (int(text) if text.isdigit() and len(text) < 10 else 0) if text else None


def _look(name: str) -> Look:
    here, also = deck(), wanted_version()
    ladder, mlflow = here.rules.ladder, here.mlflow
    first = read(
        "model first",
        lambda: catalogue.first_look(mlflow, name, ladder, most=FIRST, also=also),
        name, also, here.rules.digest,
    )  # fmt: skip
    if first.complete:
        return Look(first)
    whole = _readers().ask(
        _key(name),
        # As long as other answers are remembered, and read anew after a write of ours.
        read("model since", now, name),
        lambda: tuple(mlflow.registry.versions(name, first.model)),
        PATIENCE,
    )
    return Look(_put_together(first, whole), whole)


def _put_together(first: Dossier, whole: Whole) -> Dossier:
    """All that is known. The same object as long as nothing changed: what it has worked out about
    thousands of versions is then not worked out again."""
    key = f"model:together:{first.model.name}"
    last: tuple[Dossier, Versions | None, Dossier] | None = st.session_state.get(key)
    if last is not None and last[1] is whole.versions and last[0] == first:
        return last[2]
    known = first.newer(whole.versions or (), complete=whole.versions is not None)
    st.session_state[key] = (first, whole.versions, known)
    return known


def say_how_whole(found: Look) -> None:
    """Say where this is not all, or not of this moment, and look again until it is."""
    if found.trouble is not None:
        st.caption(t("model.last_seen"))
        errors.show(found.trouble)
    whole = found.whole
    if whole is None:
        return
    old = whole.began is not None and now() - whole.began > OLD
    if not found.dossier.complete:
        st.caption(t("model.reading", n=len(found.dossier.versions)))
    elif old:
        st.caption(t("model.old", ago=parts.when(whole.began)))
    if whole.trouble is not None and (old or not found.dossier.complete):
        errors.show(whole.trouble)
    if whole.reading and (old or not found.dossier.complete):
        key = _key(found.dossier.model.name)

        def look_again() -> None:
            if not _readers().busy(key):
                parts.again()

        parts.live(_LOOK_AGAIN)(look_again)()


def _key(name: str) -> tuple[str, ...]:
    return (*deck().scope, name)


@st.cache_resource(show_spinner=False)
def _readers() -> Readers:
    return Readers()
