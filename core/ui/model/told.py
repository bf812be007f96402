"""What the record tells of where a model's versions stood, kept until the record grows."""

from collections.abc import Callable

import streamlit as st

from core.ledger import chain
from core.registry.timeline import Timeline, timeline
from core.ui.deck import deck, read


def told(model: str) -> Timeline:
    """The timeline of a model; thousands of lines are gone through once for all pages."""
    here = deck()
    head = read("record head", lambda: chain.head(here.ledger))
    return _timeline(
        here.scope, model, str(head), lambda: timeline(here.ledger, here.mlflow.address, model)
    )


# Nothing in a timeline can be changed: all get the same one, which is quicker than a copy each.
@st.cache_resource(max_entries=100, show_spinner=False)
def _timeline(
    scope: tuple[str, str, str],  # noqa: ARG001 - who asks where, a part of the memory's key
    model: str,  # noqa: ARG001
    head: str,  # noqa: ARG001
    _call: Callable[[], Timeline],
) -> Timeline:
    return _call()
