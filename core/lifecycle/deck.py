"""What every use case is given: settings, MLflow, the ledger and who asks."""

from dataclasses import dataclass, field

from core.ledger import Ledger
from core.lifecycle.rules import held
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.credentials import service_account
from core.people import MODELDECK, Actor, Everything, Permissions, local_actor
from core.registry.desk import Desk
from core.registry.policy import RULES, Rules
from core.settings import Settings


@dataclass(frozen=True)
class Deck:
    """The parts that one person works with."""

    settings: Settings
    mlflow: Mlflow
    """Reads, with the person's credentials where the server has accounts."""
    ledger: Ledger
    actor: Actor
    account: Mlflow | None = None
    """Modeldeck's service account, where it is another than ``mlflow``."""
    permissions: Permissions = field(default_factory=Everything)
    rules: Rules = RULES
    visit: str = ""
    """Tells one sign-in of a person from another; "" where nobody signs in."""

    @property
    def scope(self) -> tuple[str, str, str]:
        """What an answer that is remembered depends on besides the question: server and person."""
        return (self.mlflow.address, self.actor.name, self.visit)

    @property
    def service(self) -> Mlflow:
        """Writes what was decided, and what Modeldeck itself does."""
        return self.account or self.mlflow

    @property
    def desk(self) -> Desk:
        """The parts that promotion works with."""
        return Desk(
            self.mlflow,
            self.service,
            self.ledger,
            self.actor,
            self.permissions,
            self.rules,
            self.settings.home,
        )


def open_deck(settings: Settings) -> Deck:
    """The parts that Modeldeck itself works with: the ledger, its tables brought up to date, and
    the MLflow store, asked with the service account where there is one.

    Raises:
        LedgerFailed: the ledger's database cannot be reached.
        BadSetting: the service account's settings cannot be used.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.ledger_uri)
    ledger.migrate()
    mlflow, account = connect(settings), service_account(settings)
    return Deck(
        settings,
        mlflow.as_person(account) if account else mlflow,
        ledger,
        local_actor() if settings.identity == "local" else Actor(MODELDECK, "worker"),
        rules=held(settings).rules,
    )
