"""The shell's part in who is here: let people in, say who is, let them out."""

import re

import streamlit as st

from core.lifecycle.deck import Deck
from core.lifecycle.rules import held
from core.settings import Settings
from core.texts import t
from core.ui import provider, visit
from core.ui.markup import md, safe


def open_for(own: Deck) -> bool:
    """Whether pages may be run for whoever is at this tab."""
    match own.settings.identity:
        case "local":
            return True
        case "oidc":
            return provider.trouble(own.settings) is None
        case _:
            return visit.arrive(own.settings) is not None


def who_is_here(here: Deck) -> None:
    """Where MLflow is, who asks it, and the way out."""
    # Without its scheme a server's address is not taken for a link, and reads as well.
    address = re.sub(r"^https?://", "", here.mlflow.address)
    if here.settings.identity == "local":
        text = "shell.where"
    else:
        text = "shell.administrator" if here.actor.administrator else "shell.accounts"
    st.caption(md(text, address=address, person=here.actor.name))
    if here.settings.identity != "local":
        st.button(
            t("signin.sign_out"),
            icon=":material/logout:",
            key="_sign_out",
            on_click=_leave,
            args=(here.settings,),
        )
    fault = held(here.settings).fault
    if fault:
        st.warning(safe(t("signin.rules_fault", fault=fault)))


def _leave(settings: Settings) -> None:
    if settings.identity == "oidc":
        st.logout()
    else:
        visit.leave(settings)


def closed(settings: Settings) -> None:
    """Nobody is signed in here: why, and the way in."""
    if settings.identity == "oidc":
        provider.closed(settings)
        return
    why = visit.why_not(settings)
    st.info(t(f"signin.ended.{why}"), title=t("signin.out_title"), icon=":material/lock:")
    way_in()


def refused(own: Deck) -> None:
    """Something was refused because nobody is signed in here any more: the way in."""
    if own.settings.identity == "oidc":
        provider.way_in()
    else:
        visit.look_again(own)
        way_in()


def way_in() -> None:
    """A link to the sign-in page, which leads back here: it knows from where one came."""
    with st.container(width=260):
        # A link of Streamlit's opens another tab, and the address one came from is lost in it.
        st.html(  # noqa: TID251 - nothing in it comes from outside
            '<a href="/signin" target="_self" style="display:block;text-align:center;padding:.5rem;'
            'border-radius:.5rem;background:#3352cc;color:#fff;text-decoration:none">'
            f"{t('signin.again')}</a>"
        )
