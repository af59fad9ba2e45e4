"""PostgreSQL and Valkey started by us, from pip wheels or the system: ``EmbeddedStack``, and the roles it needs."""

from waypost.platform.embedded.account import default_data_dir
from waypost.platform.embedded.errors import EmbeddedError
from waypost.platform.embedded.postgres import Postgres
from waypost.platform.embedded.roles import provision
from waypost.platform.embedded.stack import EmbeddedStack
from waypost.platform.embedded.valkey import Valkey

__all__ = ["EmbeddedError", "EmbeddedStack", "Postgres", "Valkey", "default_data_dir", "provision"]
