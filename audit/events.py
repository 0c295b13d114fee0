"""Everything that can happen. An entry of the audit log tells of exactly one of these.

A value, once written, is never renamed or used for something else: the log outlives the code.
"""

from __future__ import annotations

from django.db import models


class Event(models.TextChoices):
    """What happened: `<kind of subject>.<past participle>`, with words for people."""

    REQUEST_SUBMITTED = "request.submitted", "Access requested"
    REQUEST_EDITED = "request.edited", "Request edited"
    REQUEST_CANCELLED = "request.cancelled", "Request cancelled"
    REQUEST_LAPSED = "request.lapsed", "Request lapsed"
    REQUEST_REMINDED = "request.reminded", "Approvers reminded"
    REQUEST_COMMENTED = "request.commented", "Comment added"
    REQUEST_APPROVED = "request.approved", "Request approved"
    REQUEST_DENIED = "request.denied", "Request denied"
    REQUEST_AUTO_APPROVED = "request.auto_approved", "Request approved by policy"
    REQUEST_BREAK_GLASS = "request.break_glass", "Emergency access taken"
    REQUEST_REFUSED = "request.refused", "Request refused"

    VOTE_APPROVED = "vote.approved", "Approval given"
    VOTE_DENIED = "vote.denied", "Denial given"
    VOTE_REFUSED = "vote.refused", "Vote refused"

    GRANT_SCHEDULED = "grant.scheduled", "Access scheduled"
    GRANT_PROVISIONING = "grant.provisioning", "Account being made"
    GRANT_ACTIVE = "grant.active", "Access began"
    GRANT_PROVISION_FAILED = "grant.provision_failed", "Account could not be made"
    GRANT_REVOKING = "grant.revoking", "Access being ended"
    GRANT_REVOCATION_FAILED = "grant.revocation_failed", "Access could not be ended yet"
    GRANT_REVOCATION_OVERDUE = "grant.revocation_overdue", "Access outlives its window"
    GRANT_REVOKED = "grant.revoked", "Access ended and read back"
    GRANT_EXTENDED = "grant.extended", "Access extended"
    GRANT_SHORTENED = "grant.shortened", "Access shortened"
    GRANT_PASSWORD_REVEALED = "grant.password_revealed", "Password shown to its owner"
    GRANT_REVIEWED = "grant.reviewed", "Access reviewed"
    GRANT_QUESTIONED = "grant.questioned", "Access no longer allowed: to be looked at"
    GRANT_KEPT = "grant.kept", "Access kept although no longer allowed"
    GRANT_FOLLOWED = "grant.followed", "Account found on what the server has become"
    GRANT_REFUSED = "grant.refused", "Refused: somebody else's access"

    TOKEN_MADE = "token.made", "Token for the gateway made"
    TOKEN_REVOKED = "token.revoked", "Token for the gateway revoked"
    GATEWAY_REFUSED = "gateway.refused", "Refused at the gateway"
    GATEWAY_LIMITED = "gateway.limited", "Too many attempts at the gateway: rate limited"

    SERVER_ADDED = "server.added", "Server added"
    SERVER_CHANGED = "server.changed", "Server changed"
    SERVER_REMOVED = "server.removed", "Server removed"
    SERVER_CHECKED = "server.checked", "Connection tested"
    SERVER_RECOGNISED = "server.recognised", "Server recognised for the first time"
    SERVER_STRANGER = "server.stranger", "Another server answers at this address"
    SERVER_CONFIRMED = "server.confirmed", "What the server is was confirmed"
    SERVER_SHUT_KNOWN = "server.shut_known", "Databases written down as shut for good"
    SERVER_SECRET_CONFIRMED = "server.secret_confirmed", "Secret confirmed for an address by a second administrator"
    SERVER_SECRET_ROTATING = "server.secret_rotating", "Password of Lockgate's account being changed"
    SERVER_SECRET_ROTATED = "server.secret_rotated", "Password of Lockgate's account changed"
    SERVER_SECRET_ROTATION_FAILED = (
        "server.secret_rotation_failed",
        "Password of Lockgate's account could not be changed",
    )

    ROLE_ADDED = "role.added", "Access role added"
    ROLE_CHANGED = "role.changed", "Access role changed"
    ROLE_REMOVED = "role.removed", "Access role removed"
    ROLE_CONFIRMED = "role.confirmed", "Right confirmed by a second administrator"

    POLICY_ADDED = "policy.added", "Policy added"
    POLICY_CHANGED = "policy.changed", "Policy changed"
    POLICY_REMOVED = "policy.removed", "Policy removed"

    TEAM_ADDED = "team.added", "Team added"
    TEAM_CHANGED = "team.changed", "Team changed"
    TEAM_REMOVED = "team.removed", "Team removed"
    TEAM_MAPPED = "team.mapped", "Group mapped to a team"
    TEAM_UNMAPPED = "team.unmapped", "Group no longer mapped to a team"

    PERSON_ADDED = "person.added", "Person added"
    PERSON_CHANGED = "person.changed", "Person changed"
    PERSON_SIGNED_IN = "person.signed_in", "Signed in"
    PERSON_SIGN_IN_FAILED = "person.sign_in_failed", "Sign-in failed"
    PERSON_SIGNED_OUT = "person.signed_out", "Signed out"
    PERSON_IDENTIFIED = "person.identified", "Identity at a provider taken over"
    PERSON_IDENTITY_DETACHED = "person.identity_detached", "Identity at a provider detached"
    PERSON_JOINED = "person.joined", "Joined a team"
    PERSON_LEFT = "person.left", "Left a team"
    PERSON_DEACTIVATED = "person.deactivated", "Person deactivated"
    PERSON_REACTIVATED = "person.reactivated", "Person reactivated"
    PERSON_REAUTHENTICATED = "person.reauthenticated", "Confirmed their identity again"
    PERSON_SIGN_IN_LIMITED = "person.sign_in_limited", "Too many attempts: rate limited"
    PERSON_SESSION_ENDED = "person.session_ended", "Session ended"
    PERSON_FACTOR_ADDED = "person.factor_added", "Sign-in method added"
    PERSON_FACTOR_REMOVED = "person.factor_removed", "Sign-in method removed"
    PERSON_FACTOR_FAILED = "person.factor_failed", "Second factor failed"

    SWEEP_ORPHAN_FOUND = "sweep.orphan_found", "Orphaned account found"
    SWEEP_ORPHAN_REMOVED = "sweep.orphan_removed", "Orphaned account removed"
    SWEEP_DRIFT_FOUND = "sweep.drift_found", "Drift found"

    AUDIT_EXPORTED = "audit.exported", "Audit log exported"
    AUDIT_KEY_INTRODUCED = "audit.key_introduced", "Key for checkpoints introduced"
    AUDIT_STATEMENT_READ = "audit.statement_read", "Text of a statement read"
