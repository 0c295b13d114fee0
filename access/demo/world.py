"""Servers, policies and access roles of the demo."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from access.demo.estates import Estate
from access.models import Environment, Policy, Server
from access.services import catalogue
from connectors.base import Level, Tls
from people.models import Team, User

HOUR = timedelta(hours=1)


def make_servers(erin: User, orders: Estate, stock: Estate) -> tuple[Server, Server]:
    """Both servers, reached over loopback and therefore without TLS."""
    add = partial(catalogue.add_server, person=erin, tls=Tls.DISABLE)
    return (
        add(slug="orders", name="Orders", environment=Environment.PRODUCTION, **_where(orders)),
        add(slug="catalogue", name="Catalogue", environment=Environment.STAGING, **_where(stock)),
    )


def make_policies(erin: User, teams: dict[str, Team]) -> dict[str, Policy]:
    """Four ways to decide."""
    define = partial(catalogue.define_policy, person=erin, requesters=[teams["backend"]])
    return {
        "reading": define(
            slug="reading",
            name="Reading",
            steps=[(teams["dba"], 1)],
            self_approved_environments=[Environment.STAGING, Environment.DEVELOPMENT],
            break_glass_team=teams["on-call"],
        ),
        "writing": define(slug="writing", name="Writing", steps=[(teams["dba"], 1)], longest=4 * HOUR),
        "schema-changes": define(
            slug="schema-changes",
            name="Schema changes",
            steps=[(teams["dba"], 1), (teams["security"], 1)],
            longest=2 * HOUR,
            lapses_after=4 * HOUR,
        ),
        "payments": define(slug="payments", name="Payments", steps=[(teams["dba"], 2)], longest=HOUR),
    }


def make_roles(erin: User, orders: Server, stock: Server, policies: dict[str, Policy]) -> None:
    """What can be asked for."""
    on_orders = partial(catalogue.define_role, person=erin, server=orders, databases=["orders"])
    on_stock = partial(catalogue.define_role, person=erin, server=stock, databases=["catalogue"])
    on_orders(
        slug="orders-read",
        name="Orders: read",
        description="Read everything in the orders database",
        level=Level.READ,
        policy=policies["reading"],
    )
    on_orders(
        slug="orders-write",
        name="Orders: correct data",
        description="Change rows of customers, orders and their lines",
        level=Level.WRITE,
        schemas=["public"],
        policy=policies["writing"],
    )
    on_orders(
        slug="orders-schema",
        name="Orders: change the schema",
        description="Make and change tables in the orders database",
        level=Level.DDL,
        schemas=["public"],
        policy=policies["schema-changes"],
    )
    on_orders(
        slug="orders-support",
        name="Orders: support desk",
        description="Read customers and orders, no payments",
        level=Level.READ,
        tables=[("public", "customers"), ("public", "orders")],
        policy=policies["reading"],
    )
    on_orders(
        slug="orders-reporting",
        name="Orders: join reporting",
        description="Membership in the database role 'reporting', payments included",
        level=Level.MEMBER,
        database_roles=["reporting"],
        policy=policies["payments"],
    )
    on_stock(
        slug="catalogue-read",
        name="Catalogue: read",
        description="Read products, prices and stock; approved automatically on staging",
        level=Level.READ,
        policy=policies["reading"],
    )
    on_stock(
        slug="catalogue-write",
        name="Catalogue: correct data",
        description="Change rows of the catalogue",
        level=Level.WRITE,
        policy=policies["writing"],
    )


def _where(estate: Estate) -> dict[str, Any]:
    return {
        "engine": estate.engine,
        "host": estate.host,
        "port": estate.port,
        "admin_user": estate.admin_user,
        "admin_secret": estate.admin_secret,
    }
