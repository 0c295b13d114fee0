"""PostgreSQL 13 and later: accounts that end by themselves, on a server where Lockgate need not be a superuser.

`statements` and `group_privileges` compose SQL and ask nothing; `provisioning`, `revocation`, `reading_back`, `checking`
and `catalogue` run it; `session` holds Lockgate's own connections and `failures` turns the driver's errors into ours.
"""
