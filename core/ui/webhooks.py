"""Parts of the page of webhooks."""

import streamlit as st

from core import formats
from core.ledger import now
from core.ledger.outbox import GROUPS, Delivery, Shape, State
from core.lifecycle import webhooks
from core.lifecycle.deck import Deck
from core.lifecycle.webhooks import Shown
from core.lifecycle.webhooks.keeping import address
from core.texts import t
from core.ui.deck import deck
from core.ui.markup import md, safe, visible
from core.ui.parts import confirm, done, when

_SECRET = "webhook_secret"  # noqa: S105 - the name of a place
_FORM = "webhook_new"
_NEWEST = 100
_COLOURS = {State.DELIVERED: "green", State.WAITING: "grey", State.GIVEN_UP: "red"}
_COLUMNS = ("what", "model", "state", "tries", "status", "last", "message")


def without_worker() -> None:
    """Nobody delivers."""
    st.warning(t("webhooks.page.no_worker"), icon=":material/warning:")


def links_lead_to(here: Deck) -> None:
    """Where links in messages lead, as long as nobody said where people reach the pages."""
    if not here.settings.public_url:
        st.info(t("webhooks.page.no_address", address=address(here.settings)),
                icon=":material/link:")  # fmt: skip


def new() -> None:
    """The form for another one; what was typed stays where it is refused."""
    round_ = st.session_state.get(_FORM, 0)
    with (
        st.expander(t("webhooks.page.new"), icon=":material/add:"),
        st.form(f"{_FORM}_form", border=False),
    ):
        name = st.text_input(t("webhooks.page.name"), key=f"{_FORM}_name_{round_}")
        url = st.text_input(
            t("webhooks.page.url"), key=f"{_FORM}_url_{round_}", type="password",
            help=t("webhooks.page.url_help"), autocomplete="off",
        )  # fmt: skip
        shape = st.selectbox(
            t("webhooks.page.shape"), list(Shape), key=f"{_FORM}_shape_{round_}",
            format_func=lambda one: t(f"webhooks.shape.{one}"),
        )  # fmt: skip
        actions = st.pills(
            t("webhooks.page.actions"), list(GROUPS), selection_mode="multi",
            default=list(GROUPS), key=f"{_FORM}_actions_{round_}",
            format_func=lambda one: t(f"webhooks.group.{one}"),
        )  # fmt: skip
        models = st.text_input(
            t("webhooks.page.models"), "*", key=f"{_FORM}_models_{round_}",
            help=t("webhooks.page.models_help"),
        )  # fmt: skip
        if st.form_submit_button(t("webhooks.page.make"), type="primary"):
            _, secret = webhooks.make(
                deck(), name or "", url or "", Shape(str(shape)), list(actions), models or ""
            )
            st.session_state[_FORM] = round_ + 1  # empty fields for the next one
            if secret:
                st.session_state[_SECRET] = (name, secret)
            done(md("webhooks.page.made", name=name))
            st.rerun()


def secret_once() -> None:
    """The secret of the one that was just made; it is never shown again."""
    if _SECRET not in st.session_state:
        return
    name, secret = st.session_state[_SECRET]
    with st.container(border=True):
        st.markdown(md("webhooks.page.secret", name=name))
        st.code(secret, language=None)
        if st.button(t("webhooks.page.secret_kept"), key=f"{_SECRET}_kept"):
            del st.session_state[_SECRET]
            st.rerun()


def cards(found: list[Shown]) -> None:
    """A card for each."""
    for one in found:
        with st.container(border=True):
            _card(one)


def _card(one: Shown) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{safe(one.name)}**", width="content")
        key = "on" if one.enabled else "off"
        st.badge(t(f"webhooks.page.{key}"), color="green" if one.enabled else "grey")
        for state, n in sorted(one.counts.items()):
            st.badge(t(f"webhooks.count.{state}", n=n), color=_COLOURS[state])  # type: ignore[arg-type]
    groups = ", ".join(t(f"webhooks.group.{group}") for group in one.actions)
    st.caption(
        f"`{one.to}` · "
        + md("webhooks.page.line", shape=t(f"webhooks.shape.{one.shape}"),
           groups=groups, models=one.models, by=one.made_by)
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("webhooks.page.test"), icon=":material/send:", key=f"webhook_test_{one.id}",
                     disabled=not one.enabled):  # fmt: skip
            webhooks.test(deck(), one.id)
            st.rerun()
        word = "switch_off" if one.enabled else "switch_on"
        if st.button(t(f"webhooks.page.{word}"), key=f"webhook_{word}_{one.id}"):
            webhooks.enable(deck(), one.id, on=not one.enabled)
            st.rerun()
        if confirm(
            t("webhooks.page.remove"), md("webhooks.page.remove_question", name=one.name),
            t("webhooks.page.remove_action"), key=f"webhook_remove_{one.id}",
        ):  # fmt: skip
            webhooks.remove(deck(), one.id)
            st.rerun()
    with st.expander(
        t("webhooks.page.history"), icon=":material/history:", on_change="rerun",
        key=f"webhook_history_{one.id}",
    ) as opened:  # fmt: skip
        if opened.open:
            _history(one)


def _history(one: Shown) -> None:
    sent = webhooks.history(deck(), one.id, _NEWEST)
    if not sent:
        st.caption(t("webhooks.page.nothing"))
        return
    if len(sent) == _NEWEST:
        st.caption(t("webhooks.page.cut", n=_NEWEST))
    key = f"webhook_sent_{one.id}_{hash(tuple(d.id for d in sent))}"
    chosen = st.dataframe(
        [_row(delivery) for delivery in sent],
        column_config={name: t(f"webhooks.column.{name}") for name in _COLUMNS},
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        height=min(38 + 35 * len(sent), 318),
        alt=t("webhooks.page.history"),
    )["selection"]["rows"]
    if chosen:
        delivery = sent[chosen[0]]
        label = t("webhooks.page.again", what=visible(_what(delivery)))
        if st.button(label, icon=":material/replay:", key=f"webhook_again_{delivery.id}",
                     disabled=not one.enabled):  # fmt: skip
            webhooks.redeliver(deck(), delivery.id)
            st.rerun()


def _row(delivery: Delivery) -> dict[str, object]:
    state = t(f"webhooks.state.{delivery.state}")
    if delivery.state is State.WAITING and delivery.message:
        left = max(0.0, (delivery.next_at - now()).total_seconds())
        state = t("webhooks.state.again", left=formats.duration(left))
    return {
        "what": visible(_what(delivery)),
        "model": visible(delivery.model),
        "state": state,
        "tries": delivery.tries,
        "status": delivery.status,
        "last": when(delivery.last_at),
        "message": visible(delivery.message),
    }


def _what(delivery: Delivery) -> str:
    if delivery.is_sample:
        return t("webhooks.page.sample")
    return t("webhooks.page.line_of", number=delivery.number, action=delivery.action)
