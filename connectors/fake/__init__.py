"""A database server in memory, and its connector, for tests of what sits above the connectors.

It keeps the same contract as the real ones and can be told to be down, to refuse, to fail at the n-th statement and to
have sessions that do not end. It is never offered to anybody: see `connectors.registry`.
"""
