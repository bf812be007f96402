"""The promotion desk: the record, requests with their decisions, known versions, webhooks"""

import sqlalchemy as sa
from alembic import op

from core.ledger import chain
from core.ledger.schema import UtcDateTime, transitions

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "record",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.create_index("record_model", ["store", "model", "number"], unique=False)
        batch_op.create_index("record_action", ["action", "number"], unique=False)
        batch_op.create_index("record_request", ["request_id"], unique=False)
    _append_only()

    op.create_table(
        "known_versions",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("aliases", sa.JSON(), nullable=False),
        sa.Column("rung", sa.String(length=255), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=True),
        sa.Column("known_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store", "model", "version"),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("rung", sa.String(length=255), nullable=False),
        sa.Column("archive_existing", sa.Boolean(), nullable=False),
        sa.Column("requester", sa.String(length=255), nullable=False),
        sa.Column("requester_kind", sa.String(length=20), nullable=False),
        sa.Column("registrant", sa.String(length=255), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("bound", sa.JSON(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("results", sa.JSON(), nullable=True),
        sa.Column("steps", sa.JSON(), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("transition_id", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("requests", schema=None) as batch_op:
        batch_op.create_index("requests_model", ["store", "model", "asked_at"], unique=False)
        batch_op.create_index("requests_state", ["state", "asked_at"], unique=False)
        batch_op.create_index(
            "requests_one_open",
            ["store", "model", "version", "rung"],
            unique=True,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("requester", sa.String(length=255), nullable=False),
        sa.Column("registrant", sa.String(length=255), nullable=True),
        sa.Column("own_allowed", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("binding", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("used_by", sa.String(length=32), nullable=True),
        sa.CheckConstraint(
            "own_allowed OR (actor <> requester AND (registrant IS NULL OR actor <> registrant))",
            name="nobody_decides_for_themselves",
        ),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id", "actor", name="one_decision_each"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("shape", sa.String(length=20), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("webhook_id", "number", name="one_delivery_each"),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index("deliveries_due", ["state", "next_at"], unique=False)
    with op.batch_alter_table("transitions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("request_id", sa.String(length=32), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("path", sa.String(length=20), nullable=False, server_default="direct")
        )
        batch_op.create_index(
            "transitions_one_a_request",
            ["request_id"],
            unique=True,
            sqlite_where=sa.text("request_id <> ''"),
            postgresql_where=sa.text("request_id <> ''"),
        )
    _import_transitions()


def _import_transitions() -> None:
    """Put the transitions that had ended before there was a chain into it, in their order."""
    connection = op.get_bind()
    c = transitions.c
    query = (
        sa.select(
            c.id, c.store, c.model, c.version, c.kind, c.wanted, c.actor, c.comment, c.state,
            c.steps, c.before, c.after, c.message, c.begun_at, c.ended_at,
        )
        .where(c.ended_at.is_not(None))
        .order_by(c.begun_at, c.token)
    )  # fmt: skip
    for row in connection.execute(query).all():
        entry = chain.Entry(
            "imported",
            row.actor,
            path="direct",
            store=row.store,
            model=row.model,
            version=row.version,
            rung=row.wanted if row.kind == "rung" else "",
            transition_id=row.id,
            before=row.before,
            after=row.after,
            why=row.comment,
            details={
                "kind": row.kind,
                "wanted": row.wanted,
                "state": row.state,
                "steps": row.steps,
                "message": row.message,
                "begun_at": row.begun_at.isoformat(),
                "ended_at": row.ended_at.isoformat(),
            },
        )
        chain.append(connection, entry)


def _append_only() -> None:
    """Have the database itself refuse every change of a line that is written."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION record_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the record is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER record_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON record "
            "FOR EACH STATEMENT EXECUTE FUNCTION record_is_append_only()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER record_stays_{change.lower()} BEFORE {change} ON record "
            "BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END"
        )
