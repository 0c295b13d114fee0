"""Which account on the server is a grant's, whatever it is called now.

A role can be renamed, and its number (OID) is given out anew after a restore, so neither is trusted alone. Lockgate writes
the name that it gave into the role's comment, which a rename, a dump and an upgrade keep and the account itself cannot
change. Where somebody has deleted the comment, the number that `provision` returned counts, if the role is in one of
Lockgate's groups.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.postgresql.session import Session
from connectors.postgresql.statements import MADE_BY, MARK

#: A role's comment, for `pg_roles r`.
COMMENT = """(SELECT d.description FROM pg_shdescription d
    WHERE d.objoid = r.oid AND d.classoid = 'pg_authid'::regclass)"""

#: That a membership `m` lets its member act as the role: from version 16 on one may hold nothing but the right to pass it
#: on, as whoever made the role does. `to_jsonb` gives what the version at hand has.
CAN_ACT = """(coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
    OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true))"""

_FIND = f"""
SELECT r.oid, r.rolname::text FROM pg_roles r
WHERE r.rolname = %(principal)s OR split_part({COMMENT}, '{MADE_BY}', 1) = %(mark)s
  OR r.oid::text = %(identifier)s AND coalesce({COMMENT}, '') !~ %(marked)s AND r.rolname !~ '^lg_'
    AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                WHERE m.member = r.oid AND g.rolname ~ '^lockgate_')
ORDER BY r.rolname <> %(principal)s, r.rolname
"""


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """A role that is a grant's account."""

    oid: int
    name: str
    """As it is called now."""


def find(home: Session, principal: str, identifier: str) -> list[FoundAccount]:
    """The accounts of a grant that are there, the one that goes by the grant's own name first; usually one or none."""
    parameters = {
        "principal": principal,
        "mark": f"{MARK}{principal}",
        "marked": f"^{MARK}lg_",
        "identifier": identifier,
    }
    return [FoundAccount(oid, name) for oid, name in home.rows(_FIND, parameters)]
