"""What the registry's use cases are given: the parts that one person decides with."""

from dataclasses import dataclass
from pathlib import Path

from core.ledger import Ledger
from core.mlflow_api import Mlflow
from core.people import Actor, Permissions
from core.registry.policy import Rules


@dataclass(frozen=True)
class Desk:
    """The promotion desk as one person sees it."""

    mlflow: Mlflow
    """Reads, with this person's credentials."""
    service: Mlflow
    """Writes what was decided, with Modeldeck's service account; the same as ``mlflow`` where
    there are no accounts."""
    ledger: Ledger
    actor: Actor
    permissions: Permissions
    rules: Rules
    heads: Path | None = None
    """The folder where the record's heads are kept beside the ledger (``core.registry.heads``)."""
