"""The audit log: append-only, hash-chained, checkable by somebody who trusts neither the console nor its database."""
