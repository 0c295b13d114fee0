"""What a person does with a client, a program each.

The connection comes from the environment, as libpq names it: PGHOST, PGPORT, PGUSER, PGPASSWORD (the token), PGDATABASE, and
PGSSLROOTCERT for whoever checks the certificate; LEVEL is the level of the access role. Each line of the output that is a
JSON object says what was done, what failed and what was refused; `telling` writes them, in each language.
"""
