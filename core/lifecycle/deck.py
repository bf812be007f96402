"""What every use case is given: settings, MLflow, the ledger and who asks."""

from dataclasses import dataclass

from core.ledger import Ledger
from core.mlflow_api import Mlflow, connect
from core.people import Actor, local_actor
from core.settings import Settings


@dataclass(frozen=True)
class Deck:
    """The parts that one person works with."""

    settings: Settings
    mlflow: Mlflow
    ledger: Ledger
    actor: Actor


def open_deck(settings: Settings) -> Deck:
    """Open the ledger (bringing its tables up to date) and name the MLflow store.

    Raises:
        LedgerFailed: the ledger's database cannot be reached.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.ledger_uri)
    ledger.migrate()
    return Deck(settings, connect(settings), ledger, local_actor())
