"""Who could change a registered model without Modeldeck, and how that is closed."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import NotAllowed
from core.lifecycle.deck import Deck
from core.mlflow_api.holders import Account, Accounts, Holder, Source, holder, holders, ways
from core.mlflow_api.permissions import MlflowPermissions, asking
from core.people import Actor, Permission
from core.registry.policy import Rules, names
from core.texts import t


@dataclass(frozen=True)
class Row:
    """A registered model with everybody who could change it."""

    model: str
    holders: tuple[Holder, ...]
    """Modeldeck's own account among them."""
    service: str
    """The name of that account."""
    ways: tuple[Holder, ...] = ()
    """All by which the others came by their rights: somebody may have a right more than once."""

    @property
    def others(self) -> tuple[Holder, ...]:
        """Those who go round the desk: all but Modeldeck's own account."""
        return tuple(h for h in self.holders if h.account != self.service)

    @property
    def granted(self) -> tuple[Holder, ...]:
        """Those of them who are no administrators, whom nothing restricts."""
        above = (Source.ADMINISTRATOR, Source.WORKSPACE)
        return tuple(h for h in self.others if h.source not in above)


@dataclass(frozen=True)
class Overview:
    """All registered models, those that most could change first."""

    rows: tuple[Row, ...]
    default: Permission
    """What everybody has on whatever nothing else was granted on."""
    accounts: int
    """How many accounts the server has."""


def may_see_all(rules: Rules, actor: Actor) -> bool:
    """Whether the person may see the rights of others: administrators, and whoever decides on any
    model."""
    return actor.administrator or any(rule.policy.may_decide(actor) for rule in rules.rules)


def overview(deck: Deck) -> Overview:
    """Who could change each registered model that this person may read; identity ``mlflow``.

    Raises:
        NotAllowed: the person neither administers nor decides.
        DeckError: MLflow does not tell.
    """
    if not may_see_all(deck.rules, deck.actor):
        raise NotAllowed(t("permissions.not_yours"), t("permissions.not_yours_next"))
    known, service = _accounts(deck), deck.settings.service_user
    rows = [_row(known, model.name, service) for model in deck.mlflow.registry.models()]
    rows.sort(key=lambda row: (-len(row.granted), row.model))
    return Overview(tuple(rows), known.default, len(known.accounts))


def _row(known: Accounts, model: str, service: str) -> Row:
    found = [
        way
        for account in known.accounts
        if account.name != service
        for way in ways(account, model, known.default, Permission.EDIT)
    ]
    return Row(model, holders(known, model, Permission.EDIT), service, tuple(found))


def lines(rules: Rules, actor: Actor) -> tuple[tuple[str, str, str], ...]:
    """The lines on rights of the desk's file that the person may see: all, or those that are about
    them; identity ``oidc``."""
    if may_see_all(rules, actor):
        return rules.permissions
    return tuple(line for line in rules.permissions if names((line[0],), actor))


def own(deck: Deck) -> list[tuple[str, Holder]]:
    """What the person may do with each registered model that they may read; identity ``mlflow``.

    Raises:
        DeckError: MLflow does not tell.
    """
    known = _accounts(deck)
    # Somebody who is not in the list any more has no right at all.
    gone = Account(deck.actor.name, False)
    me = next((a for a in known.accounts if a.name == deck.actor.name), gone)
    default = known.default if me is not gone else Permission.NONE
    return [(m.name, holder(me, m.name, default)) for m in deck.mlflow.registry.models()]


def closing(row: Row, address: str) -> str:
    """Python that lowers everybody but Modeldeck to READ on a model, to be run by an administrator
    of the server; each step says whom it concerns. "" where nobody has to be lowered.

    What only an administrator's own decision closes stands there as a remark: other administrators,
    the workspace's, and the server's default.
    """
    steps = [line for way in row.ways for line in _steps(way, row.model)]
    # One role, or the default, may concern many.
    steps = list(dict.fromkeys(steps))
    if not steps:
        return ""
    first = [
        "from mlflow.server import get_app_client",
        "",
        f"auth = get_app_client('basic-auth', tracking_uri={address!r})",
    ]
    return "\n".join([*first, *steps])


def _steps(holder: Holder, model: str) -> Iterable[str]:
    name, kind, pattern = holder.account, holder.kind, holder.pattern
    match holder.source:
        case Source.GRANT:
            yield f"auth.revoke_user_permission({name!r}, {kind!r}, {pattern!r})"
            if pattern == model:
                yield f"auth.grant_user_permission({name!r}, {kind!r}, {pattern!r}, 'READ')"
        case Source.ROLE:
            yield (
                f"for role in auth.list_all_roles():  # {t('permissions.script.role')}\n"
                f"    for right in role.permissions if role.name == {holder.role!r} else ():\n"
                f"        if (right.resource_type, right.resource_pattern) == "
                f"({kind!r}, {pattern!r}):\n"
                "            auth.update_role_permission(right.id, 'READ')"
            )
        case Source.DEFAULT:
            yield f"# {t('permissions.script.default')}"
        case Source.ADMINISTRATOR:
            yield f"# {t('permissions.script.administrator', name=repr(name))}"
            yield f"# auth.update_user_admin({name!r}, False)"
        case Source.WORKSPACE:
            yield f"# {t('permissions.script.workspace', name=repr(name))}"


def _accounts(deck: Deck) -> Accounts:
    service = deck.service.gateway
    return MlflowPermissions(asking(service), deck.settings.service_user).accounts()
