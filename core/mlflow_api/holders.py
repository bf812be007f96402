"""Who holds which right on a registered model of an MLflow server with basic authentication.

Pure: the rows come from ``core.mlflow_api.permissions``. The rules are those of MLflow 3.17
(``mlflow.server.auth.requirements``): a grant on the thing or on ``*``, from the account itself or
from a role; DENY beats all others; the highest of the rest, and never less than the server's
default; an administrator, of the server or of the workspace, is not restricted by any of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.people import Permission

MODEL, EXPERIMENT = "registered_model", "experiment"
PARTS = {MODEL: ("registered_model_version",), EXPERIMENT: ("run", "logged_model")}
"""What has rights of its own inside a thing: for all such parts at once, never for one of them."""
EVERY = "*"
DENY = "DENY"
WORKSPACE = "workspace"
DEFAULT_WORKSPACE = "default"
"""Modeldeck names no workspace, so it works in this one, where a server has several."""


class Source(StrEnum):
    """How an account got a level."""

    ADMINISTRATOR = "administrator"
    """It administers the server."""
    WORKSPACE = "workspace"
    """It administers the workspace."""
    GRANT = "grant"
    """The account itself was given it; MLflow gives MANAGE to whoever creates a model."""
    ROLE = "role"
    """A role that the account has."""
    DEFAULT = "default"
    """What the server gives to everybody."""


@dataclass(frozen=True)
class Grant:
    """One line of MLflow's table of rights."""

    kind: str
    """The type of the thing, such as ``registered_model``."""
    pattern: str
    """Its name or id, or ``*``."""
    level: str
    """MLflow's word: READ, USE, EDIT, MANAGE or DENY."""
    role: str = ""
    """The role that it belongs to; "" where the account itself has it."""


@dataclass(frozen=True)
class Account:
    """An account with all its grants."""

    name: str
    administrator: bool
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class Accounts:
    """All accounts of a server."""

    accounts: tuple[Account, ...]
    default: Permission
    """What everybody has who was given nothing else."""


@dataclass(frozen=True)
class Holder:
    """What one account may do with a model, and how it came by that."""

    account: str
    level: Permission
    source: Source
    role: str = ""
    """The role's name, where ``source`` is a role."""
    pattern: str = ""
    """What the deciding grant stands on: the model's name or ``*``."""
    kind: str = ""
    """``registered_model``, or ``registered_model_version`` where the level is one on all versions
    that goes beyond the one on the model."""


def level_of(word: str) -> Permission | None:
    """MLflow's word as a level; None for a word that it did not have when this was written."""
    if word in (DENY, "NO_PERMISSIONS"):
        return Permission.NONE
    return Permission[word] if word in Permission.__members__ else None


def runs_the_workspace(grants: Iterable[Grant]) -> bool:
    """Whether the grants make a workspace's administrator."""
    return any((g.kind, g.pattern, g.level) == (WORKSPACE, EVERY, "MANAGE") for g in grants)


def holder(account: Account, model: str, default: Permission) -> Holder:
    """The most that an account may do with a registered model or with its versions.

    Rights on all versions stand beside those on the model: whoever may READ a model and EDIT all
    versions moves its stages.
    """
    if account.administrator:
        return Holder(account.name, Permission.MANAGE, Source.ADMINISTRATOR)
    if runs_the_workspace(account.grants):
        return Holder(account.name, Permission.MANAGE, Source.WORKSPACE)
    held = _held(account, MODEL, model, default)
    if held is None:
        held = Holder(account.name, default, Source.DEFAULT)
    if held.level is Permission.NONE:
        return held
    parts = [_held(account, kind, EVERY, default) for kind in PARTS[MODEL]]
    return max([held, *(part for part in parts if part)], key=lambda h: h.level)


def holders(accounts: Accounts, model: str, least: Permission) -> tuple[Holder, ...]:
    """Who holds ``least`` or more on a model, the highest first, then by name."""
    found = [holder(account, model, accounts.default) for account in accounts.accounts]
    kept = [h for h in found if h.level >= least]
    return tuple(sorted(kept, key=lambda h: (-h.level, h.account)))


def ways(
    account: Account, model: str, default: Permission, least: Permission
) -> tuple[Holder, ...]:
    """All by which an account holds ``least`` or more on a model or on its versions: each would
    hold on where the others are taken away. Empty where it holds less."""
    if holder(account, model, default).level < least:
        return ()
    found = [
        Holder(account.name, Permission.MANAGE, source)
        for source, holds in (
            (Source.ADMINISTRATOR, account.administrator),
            (Source.WORKSPACE, runs_the_workspace(account.grants)),
        )
        if holds
    ]
    found += [
        _by(account, grant)
        for grant in account.grants
        if (grant.kind == MODEL and grant.pattern in (EVERY, model))
        or (grant.kind in PARTS[MODEL] and grant.pattern == EVERY)
    ]
    if default >= least:
        found.append(Holder(account.name, default, Source.DEFAULT))
    return tuple(way for way in found if way.level >= least)


def _held(account: Account, kind: str, name: str, default: Permission) -> Holder | None:
    """What grants on one kind of thing give; None where there are none."""
    mine = [g for g in account.grants if g.kind == kind and g.pattern in (EVERY, name)]
    if not mine:
        return None
    denied = next((g for g in mine if g.level == DENY), None)
    best = denied or max(mine, key=lambda g: _feared(g.level))
    level = _feared(best.level)
    if not denied and default > level:
        return Holder(account.name, default, Source.DEFAULT)
    return _by(account, best)


def _by(account: Account, grant: Grant) -> Holder:
    source = Source.ROLE if grant.role else Source.GRANT
    level = _feared(grant.level)
    return Holder(account.name, level, source, grant.role, grant.pattern, grant.kind)


def _feared(word: str) -> Permission:
    """A level of a later MLflow counts as the highest: who might do harm is looked for here."""
    level = level_of(word)
    return Permission.MANAGE if level is None else level
