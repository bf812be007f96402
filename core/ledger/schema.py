"""The ledger's tables. A change here needs a migration beside it, and a test compares the two."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A time-zone-aware point in time, kept in UTC; SQLite has no such type of its own."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: UTC without a zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database: UTC, aware."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(400), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)

processes = sa.Table(
    "processes",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("node", sa.String(255), nullable=False),
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("exit_code", sa.Integer),
    sa.Column("stop_requested_at", UtcDateTime),
    sa.Column("stop_requested_by", sa.String(255)),
    sa.Index("processes_open", "node", "ended_at"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("project", sa.String(200), nullable=False),
    sa.Column("entry_point", sa.String(200), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("experiment_id", sa.String(64)),
    sa.Column("run_id", sa.String(64)),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("requested_by", sa.String(255), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("claimed_by", sa.String(32)),
    sa.Column("claim_token", sa.BigInteger, nullable=False),
    sa.Column("process_id", sa.String(32), sa.ForeignKey("processes.id")),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("exit_code", sa.Integer),
    sa.Column("stop_requested_at", UtcDateTime),
    sa.Column("stop_requested_by", sa.String(255)),
    sa.Index("jobs_state", "state", "requested_at"),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("requested_by", sa.String(255), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("claimed_by", sa.String(32)),
    sa.Column("claim_token", sa.BigInteger, nullable=False),
    sa.Column("process_id", sa.String(32), sa.ForeignKey("processes.id")),
    sa.Column("host", sa.String(255)),
    sa.Column("port", sa.Integer),
    sa.Column("nonce", sa.String(64)),
    sa.Column("restarts", sa.Integer, nullable=False),
    sa.Column("ready_at", UtcDateTime),
    sa.Column("checked_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("stop_requested_at", UtcDateTime),
    sa.Column("stop_requested_by", sa.String(255)),
    sa.Index("endpoints_state", "state", "requested_at"),
)

transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("wanted", sa.String(255), nullable=False),
    sa.Column("archive_existing", sa.Boolean, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("steps", sa.JSON, nullable=False),
    sa.Column("before", sa.JSON, nullable=False),
    sa.Column("after", sa.JSON),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("request_id", sa.String(32), nullable=False, server_default=""),
    sa.Column("path", sa.String(20), nullable=False, server_default="direct"),
    sa.Index("transitions_begun", "begun_at"),
    sa.Index(  # what was approved is begun once
        "transitions_one_a_request",
        "request_id",
        unique=True,
        sqlite_where=sa.text("request_id <> ''"),
        postgresql_where=sa.text("request_id <> ''"),
    ),
)

record = sa.Table(
    "record",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("action", sa.String(60), nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("request_id", sa.String(32), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index("record_model", "store", "model", "number"),
    sa.Index("record_action", "action", "number"),
    sa.Index("record_request", "request_id"),
)

known_versions = sa.Table(
    "known_versions",
    metadata,
    sa.Column("store", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("stage", sa.String(40), nullable=False),
    sa.Column("aliases", sa.JSON, nullable=False),
    sa.Column("rung", sa.String(255), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("updated_at", UtcDateTime),
    sa.Column("known_at", UtcDateTime, nullable=False),
    sa.Column("tag", sa.JSON(none_as_null=True)),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("rung", sa.String(255), nullable=False),
    sa.Column("archive_existing", sa.Boolean, nullable=False),
    sa.Column("requester", sa.String(255), nullable=False),
    sa.Column("requester_kind", sa.String(20), nullable=False),
    sa.Column("registrant", sa.String(255)),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("seen", sa.JSON, nullable=False),
    sa.Column("policy", sa.JSON, nullable=False),
    sa.Column("bound", sa.JSON),
    sa.Column("evidence", sa.JSON),
    sa.Column("results", sa.JSON),
    sa.Column("steps", sa.JSON),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("checked_at", UtcDateTime),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("transition_id", sa.String(32)),
    sa.Column("claimed_until", UtcDateTime),
    sa.Index("requests_model", "store", "model", "asked_at"),
    sa.Index("requests_state", "state", "asked_at"),
    sa.Index(
        "requests_one_open",
        "store",
        "model",
        "version",
        "rung",
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    ),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("request_id", sa.String(32), sa.ForeignKey("requests.id"), nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("requester", sa.String(255), nullable=False),
    sa.Column("registrant", sa.String(255)),
    sa.Column("own_allowed", sa.Boolean, nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("binding", sa.String(64), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("used_by", sa.String(32)),
    sa.CheckConstraint(
        "own_allowed OR (actor <> requester AND (registrant IS NULL OR actor <> registrant))",
        name="nobody_decides_for_themselves",
    ),
    sa.UniqueConstraint("request_id", "actor", name="one_decision_each"),
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("shape", sa.String(20), nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("actions", sa.JSON, nullable=False),
    sa.Column("models", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("made_by", sa.String(255), nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("removed_at", UtcDateTime),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("webhook_id", sa.String(32), sa.ForeignKey("webhooks.id"), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime),
    sa.Column("status", sa.Integer),
    sa.Column("message", sa.Text, nullable=False),
    sa.UniqueConstraint("webhook_id", "number", name="one_delivery_each"),
    sa.Index("deliveries_due", "state", "next_at"),
)
