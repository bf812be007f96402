"""Identity ``oidc``: whoever Streamlit's sign-in says is here."""

import time
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import DeckError, SignedOut
from core.lifecycle.deck import Deck
from core.lifecycle.visit import deck_of_provider
from core.people import Actor
from core.people.oidc import groups_of, is_fresh, name_of
from core.registry.policy import Rules, names
from core.settings import Settings
from core.texts import t
from core.ui.markup import safe


def trouble(settings: Settings) -> DeckError | None:
    """Why pages may not be run for whoever is here; None where they may."""
    try:
        name_of(claims(), settings.oidc_name_claim)
    except DeckError as error:
        return error
    return None


def deck(base: Deck) -> Deck:
    """The deck of whoever is here.

    Raises:
        SignedOut: nobody is, or the sign-in is too old.
        NotAllowed: the provider gives no name.
    """
    return deck_of_claims(base, claims())


def deck_of_claims(base: Deck, told: Mapping[str, Any]) -> Deck:
    """The deck of whom the provider's claims name.

    Raises:
        SignedOut: the sign-in is too old.
        NotAllowed: the provider gives no name.
    """
    if not is_fresh(told, time.time()):
        raise SignedOut(t("people.oidc.stale"), t("signin.ended.next"))
    return deck_of_provider(base, actor_of(told, base.settings, base.rules))


def actor_of(told: Mapping[str, Any], settings: Settings, rules: Rules) -> Actor:
    """The person of a provider's claims, with the groups of the desk's file, and those of the
    provider that the file does not list.

    Raises:
        NotAllowed: the provider gives no name.
    """
    name = name_of(told, settings.oidc_name_claim)
    provided = groups_of(told, settings.oidc_groups_claim) - rules.groups.keys()
    groups = rules.groups_of(name) | provided
    person = Actor(name, "oidc", groups)
    return Actor(name, "oidc", groups, administrator=names(rules.administrators, person))


def closed(settings: Settings) -> None:
    """Nobody is here whom Modeldeck knows: why, and the way in or out."""
    why = trouble(settings)
    if why is not None:
        st.info(safe(why.what), title=why.title, icon=":material/lock:")
    if st.user.get("is_logged_in"):
        st.caption(safe(why.next_step) if why is not None else "")
        st.button(t("signin.sign_out"), icon=":material/logout:", on_click=st.logout)
    else:
        st.caption(t("signin.with_provider"))
        way_in()


def way_in() -> None:
    """The button that leads to the provider."""
    st.button(t("signin.button"), type="primary", icon=":material/login:", on_click=st.login)


def claims() -> dict[str, Any]:
    """What the provider says of whoever is here.

    Raises:
        SignedOut: nobody is, or the sign-in is too old.
    """
    told = dict(st.user.to_dict())
    if not told.get("is_logged_in"):
        raise SignedOut(t("signin.ended.unknown"), t("signin.ended.next"))
    if not is_fresh(told, time.time()):
        raise SignedOut(t("people.oidc.stale"), t("signin.ended.next"))
    return told
