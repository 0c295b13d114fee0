"""What a statement does, as far as its text tells: its classes, tables, functions, and a fingerprint. Pure.

This is not the wall: that is what the principal may do on the server. It says no earlier, and in words.
"""

from gateway.statements.classifying import Statement, classify
from gateway.statements.skeleton import Skeleton, skeleton_of

__all__ = ["Skeleton", "Statement", "classify", "skeleton_of"]
