"""Alembic: a migration on a ddl role, there and back, and the comparison that writes one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import alembic
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from tests.clients.programs.telling import does, refused, same, version

_ENVIRONMENT = """
import sqlalchemy as sa
from alembic import context

metadata = sa.MetaData()
sa.Table("made", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text, index=True),
         sa.Column("kind", sa.Enum("a", "b", name="kind")))
sa.Table("part", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("made", sa.ForeignKey("made.id")))

with sa.create_engine("postgresql+psycopg://", poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, include_name=lambda name, kind, _:
                      kind != "table" or name in ("made", "part"))
    with context.begin_transaction():
        context.run_migrations()
"""
_SCRIPT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = ${repr(up_revision)}, ${repr(down_revision)}
def upgrade():
    ${upgrades}
def downgrade():
    ${downgrades}
    op.execute("DROP TYPE kind")
"""


def main() -> None:
    version(alembic.__version__)
    with tempfile.TemporaryDirectory() as folder:
        scripts = Path(folder)
        (scripts / "versions").mkdir()
        (scripts / "env.py").write_text(_ENVIRONMENT)
        (scripts / "script.py.mako").write_text(_SCRIPT)
        config = Config()
        config.set_main_option("script_location", folder)
        config.set_main_option("path_separator", "os")
        with does("connects", "current"):
            command.current(config)
        with does("migration", "revision --autogenerate, upgrade, downgrade"):
            command.revision(config, "first", autogenerate=True)
            command.upgrade(config, "head")
            same(sa.inspect(sa.create_engine("postgresql+psycopg://")).has_table("made"), True)
            command.downgrade(config, "base")
        with refused(), sa.create_engine("postgresql+psycopg://").begin() as connection:
            connection.execute(sa.text("GRANT SELECT ON things TO PUBLIC"))


if __name__ == "__main__":
    main()
