"""MariaDB 10.6 and later: accounts, group roles, dead-man's switches, and the read-back of its account tables."""
