"""Database servers under management."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.utils import timezone

from access.credentials import Account, resolve
from access.credentials.places import place_of
from access.models import AccessRole, Environment, Grant, SecretUse, Server
from access.secret_uses import bind, bind_where_accounts_live
from access.services.catalogue.changes import locked, one_at_a_time, record_added, record_changed, ways_on
from access.services.catalogue.checks import (
    UnknownEngineChosen,
    check_administrator,
    check_name,
    check_names,
    check_reference,
    check_tls,
    slug_taken,
)
from access.states import LIVING
from access.targets import account_of
from audit.events import Event
from audit.log import Subject
from connectors.base import Tls
from connectors.registry import ENGINE_LABELS, sends_secrets
from people.models import User

#: What a check of the connection depends on.
_CONNECTION = ("host", "port", "database", "tls", "tls_ca_file", "admin_user", "admin_secret")


def add_server(
    *,
    person: User,
    slug: str,
    name: str,
    engine: str,
    environment: Environment,
    host: str,
    port: int,
    admin_user: str,
    admin_secret: str,
    database: str = "",
    tls: Tls = Tls.VERIFY_FULL,
    tls_ca_file: str = "",
) -> Server:
    """Put a database server under management. The secret reference must lead somewhere; the server is not called yet."""
    check_administrator(person)
    check_names(slug, name)
    if engine not in ENGINE_LABELS and not (engine == "fake" and settings.DEVELOPMENT):
        raise UnknownEngineChosen(f"They are {', '.join(ENGINE_LABELS)}.")
    check_tls(engine, host, admin_secret, tls, tls_ca_file)
    check_reference(admin_secret)
    resolve(admin_secret, Account(engine, host, port, admin_user))
    with one_at_a_time():
        with slug_taken():
            server = Server.objects.create(
                slug=slug,
                name=name,
                engine=engine,
                environment=environment,
                host=host,
                port=port,
                database=database,
                tls=tls,
                tls_ca_file=tls_ca_file,
                admin_user=admin_user,
                admin_secret=admin_secret,
            )
        held = _held_secret(server, person)
        record_added(
            Event.SERVER_ADDED,
            person=person,
            subject=Subject("server", slug, name),
            after={"engine": engine, **_described(server), **held},
        )
    return server


def change_server(
    *,
    person: User,
    server: Server,
    revision: int,
    name: str,
    environment: Environment,
    host: str,
    port: int,
    database: str,
    tls: Tls,
    tls_ca_file: str,
    admin_user: str,
    admin_secret: str,
    is_enabled: bool,
    replicas: Sequence[tuple[str, int]] = (),
) -> Server:
    """Change the server as it was at `revision`; raises `EditedMeanwhile` when that is not the latest.

    An empty `admin_secret` keeps the reference. Grants are revoked where they were made, whatever the address is now;
    a server that is switched off cannot be requested, and what lives on it still ends.
    """
    check_administrator(person)
    check_name(name)
    check_tls(server.engine, host, admin_secret or server.admin_secret, tls, tls_ca_file)
    if admin_secret:
        check_reference(admin_secret)
        resolve(admin_secret, Account(server.engine, host, port, admin_user))
    with one_at_a_time():
        row = locked(Server, server.pk, revision)
        roles = AccessRole.objects.filter(server=row)
        before, had = _described(row), ways_on(person, roles)
        reached_by, address = _connection(row), row.address
        row.name, row.environment, row.host, row.port = name, environment, host, port
        row.database, row.tls, row.tls_ca_file = database, tls, tls_ca_file
        row.admin_user, row.is_enabled = admin_user, is_enabled
        row.replicas = [[host, port] for host, port in replicas]
        row.admin_secret = admin_secret or row.admin_secret
        after = _described(row)
        if after == before and _connection(row) == reached_by:
            return row
        if _connection(row) != reached_by:
            # What the last check found was about another connection.
            row.checked_at, row.check_ok, row.check_message = None, None, ""
        if row.address != address:
            had = {}  # What somebody could do before, they could do somewhere else.
        row.revision += 1
        row.save()
        held = _held_secret(row, person)
        changed_secret = reached_by["admin_secret"] != row.admin_secret
        record_changed(
            Event.SERVER_CHANGED,
            person=person,
            subject=Subject("server", row.slug, row.name),
            before={**before, "admin_secret": "old" if changed_secret else ""},
            after={**after, "admin_secret": "new" if changed_secret else "", **held},
            had=had,
            roles=roles,
            revision=row.revision,
        )
    return row


def _held_secret(server: Server, person: User) -> dict[str, Any]:
    """Bind the secret to the address; what the audit trail says of one that waits for another administrator."""
    if not sends_secrets(server.engine):
        return {}
    now, account = timezone.now(), account_of(server)
    # What was asked for and is wanted no more must not be confirmed by mistake.
    asked = SecretUse.objects.filter(server=server, confirmed_at=None)
    asked.exclude(tls=server.tls, tls_ca_file=server.tls_ca_file).delete()
    is_new = not SecretUse.objects.filter(place=place_of(server.admin_secret, account)).exists()
    use = bind(server, account, asked_by=person, now=now)
    # Whoever may name a replica must not be able to send the secret of a server to an address of their own.
    followed = [
        bind(server, replace(account, host=host, port=port), asked_by=person, now=now) for host, port in server.replicas
    ]
    waiting = [f"{each.host}:{each.port}" for each in followed if each.confirmed_at is None]
    if use.confirmed_at is None:
        return {"waits_for": ", ".join([f"{use.host}:{use.port}", *waiting])}
    if is_new:
        living = Grant.objects.filter(server=server, state__in=LIVING).values_list("address", flat=True)
        bind_where_accounts_live(server, [address for address in living if address != server.address], now=now)
    return {"waits_for": ", ".join(waiting)} if waiting else {}


def _described(server: Server) -> dict[str, Any]:
    return {
        "name": server.name,
        "environment": str(server.environment),
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "tls": str(server.tls),
        "tls_ca_file": server.tls_ca_file,
        "admin_user": server.admin_user,
        "is_enabled": server.is_enabled,
        "replicas": [f"{host}:{port}" for host, port in server.replicas],
    }


def _connection(server: Server) -> dict[str, Any]:
    return {name: str(getattr(server, name)) for name in _CONNECTION}
