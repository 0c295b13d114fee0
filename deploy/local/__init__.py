"""A whole Lockgate on one machine, beside whatever else runs there: its own PostgreSQL, MariaDB and Redis on free ports, with
all they write in one folder.

Only the standard library is imported here, since this runs before anything is installed.
"""
