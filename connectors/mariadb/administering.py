"""Being the administrator of the roles that Lockgate works with, whatever became of the account that made them.

Who drops an account drops what it was the administrator of with it, and then nobody, not even `root`, may grant the role. To
drop one and make it again takes only CREATE USER; whoever had it gets it again at once.
"""

from __future__ import annotations

from connectors.base import Journal
from connectors.mariadb import statements
from connectors.mariadb.session import Session

_EXISTS = "SELECT 1 FROM mysql.global_priv WHERE Host = '' AND User = %s"
_IS_OURS = """
    SELECT 1 FROM mysql.roles_mapping
    WHERE Role = %s AND CONCAT(User, '@', Host) = CURRENT_USER() AND Admin_option = 'Y'
"""
_MEMBERS = """
    SELECT User, Host, Admin_option FROM mysql.roles_mapping
    WHERE Role = %s AND CONCAT(User, '@', Host) <> CURRENT_USER() ORDER BY User, Host
"""


def is_out_of_hand(session: Session, role: str) -> bool:
    """Whether the role is there and not ours to grant."""
    return bool(session.rows(_EXISTS, role)) and not session.rows(_IS_OURS, role)


def take_over(session: Session, role: str, journal: Journal) -> None:
    """Make a role anew, empty, with us as its administrator and with the same members. Raises `ConnectorError`."""
    members = session.rows(_MEMBERS, role)
    session.run(statements.drop_role(role), journal)
    session.run(statements.create_role(role), journal)
    for member, host, admin in members:
        session.run(statements.give_back(role, member, host, with_admin=admin == "Y"), journal)
