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
        name_of(_claims(), settings.oidc_name_claim)
    except DeckError as error:
        return error
    return None


def deck(base: Deck) -> Deck:
    """The deck of whoever is here.

    Raises:
        SignedOut: nobody is, or the sign-in is too old.
        NotAllowed: the provider gives no name.
    """
    return deck_of_provider(base, actor_of(_claims(), base.settings, base.rules))


def actor_of(claims: Mapping[str, Any], settings: Settings, rules: Rules) -> Actor:
    """The person of a provider's claims, with the groups of the provider and of the desk's file.

    Raises:
        NotAllowed: the provider gives no name.
    """
    name = name_of(claims, settings.oidc_name_claim)
    groups = groups_of(claims, settings.oidc_groups_claim) | rules.groups_of(name)
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


def _claims() -> dict[str, Any]:
    claims = dict(st.user.to_dict())
    if not claims.get("is_logged_in"):
        raise SignedOut(t("signin.ended.unknown"), t("signin.ended.next"))
    if not is_fresh(claims, time.time()):
        raise SignedOut(t("people.oidc.stale"), t("signin.ended.next"))
    return claims
