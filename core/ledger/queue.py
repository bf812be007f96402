"""A table of work: asked for by people, claimed by one worker, then written by it alone.

Jobs and endpoints are both such tables. Each has the columns ``id``, ``state``, ``requested_by``,
``requested_at``, ``claimed_by``, ``claim_token``, ``stop_requested_at`` and ``stop_requested_by``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from core.errors import NotFound
from core.ledger import Ledger, new_id, now
from core.texts import t


class Claimed(Protocol):
    """What every row of work carries."""

    @property
    def id(self) -> str:
        """The row's id."""

    @property
    def claim_token(self) -> int:
        """The fencing token of the lease under which it was claimed."""


Row = TypeVar("Row", bound=Claimed)


@dataclass(frozen=True)
class Queue(Generic[Row]):
    """The work in one table."""

    table: sa.Table
    noun: Callable[..., Row]
    """Makes the noun of a row's columns."""
    open_states: tuple[str, ...]
    """States in which something may still happen."""
    action: str
    """Key of the text that says what is being done."""
    none_such: str
    """Key of the sentence for an id that is not there."""

    def add(self, ledger: Ledger, *, by: str, **values: object) -> Row:
        """Ask for work; ``values`` hold at least its state, and its id where that is known."""
        row = {"id": new_id(), "message": "", "claim_token": 0, **values}
        with ledger.transaction(t(self.action)) as connection:
            connection.execute(
                self.table.insert().values(requested_by=by, requested_at=now(), **row)
            )
        return self.get(ledger, str(row["id"]))

    def get(self, ledger: Ledger, row_id: str) -> Row:
        """One row of work.

        Raises:
            NotFound: there is none of that id.
        """
        found = self.rows(ledger, sa.select(self.table).where(self.table.c.id == row_id))
        if not found:
            raise NotFound(t(self.none_such, id=row_id[:40]))
        return found[0]

    def rows(self, ledger: Ledger, query: sa.Select[Any]) -> list[Row]:
        """What a query of the table finds."""
        with ledger.transaction(t(self.action)) as connection:
            return [self.noun(**row._mapping) for row in connection.execute(query)]

    def owned(self, ledger: Ledger, owner: str) -> list[Row]:
        """The open work that this owner has claimed, oldest first."""
        return self.rows(
            ledger,
            sa.select(self.table)
            .where(self.table.c.claimed_by == owner, self.table.c.state.in_(self.open_states))
            .order_by(self.table.c.requested_at),
        )

    def adopt(self, ledger: Ledger, owner: str, token: int) -> None:
        """Take over what an earlier worker of this owner had claimed: its token counts no more."""
        with ledger.transaction(t(self.action)) as connection:
            connection.execute(
                self.table.update()
                .where(self.table.c.claimed_by == owner, self.table.c.state.in_(self.open_states))
                .values(claim_token=token)
            )

    def request_stop(self, ledger: Ledger, row_id: str, by: str) -> None:
        """Ask for the stop of open work; the worker carries it out. A second asking changes
        nothing."""
        columns = self.table.c
        with ledger.transaction(t(self.action)) as connection:
            connection.execute(
                self.table.update()
                .where(
                    columns.id == row_id,
                    columns.state.in_(self.open_states),
                    columns.stop_requested_at.is_(None),
                )
                .values(stop_requested_at=now(), stop_requested_by=by)
            )

    def update(self, ledger: Ledger, row: Row, **values: object) -> Row:
        """Write to claimed work, unless somebody took it over since.

        Raises:
            NotFound: it is another worker's now.
        """
        with ledger.transaction(t(self.action)) as connection:
            done = connection.execute(
                self.table.update()
                .where(self.table.c.id == row.id, self.table.c.claim_token == row.claim_token)
                .values(**values)
            )
            if done.rowcount != 1:
                raise NotFound(t("ledger.taken_over", id=row.id))
        return self.get(ledger, row.id)
