"""What others may want to know of people, in the same transaction."""

from __future__ import annotations

from django.dispatch import Signal

left_teams = Signal()
"""People are no longer in some teams. Sends `left`, the teams by person, and `actor`; what the teams allowed is over.

Sent once, inside the transaction and before its audit entries, so that receivers may lock all that they need.
"""

deactivated = Signal()
"""Somebody was switched off. Sends `person` and `actor`; what they had asked for and what they hold is over.

Sent inside the transaction and before its audit entries, as `left_teams` is.
"""
