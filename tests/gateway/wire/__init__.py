"""Tests of the gateway's wire: real clients, hand-made protocol, and the ends of sessions, on a real PostgreSQL."""
