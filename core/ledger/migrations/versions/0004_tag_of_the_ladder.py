"""Versions as they are known: the ladder's tag too"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("known_versions", sa.Column("tag", sa.JSON(), nullable=True))
