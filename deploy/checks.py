"""The part of `make check` that asks Django: its own checks as in production, and whether a migration is missing.

Needs no server: nothing here connects.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

from deploy.local.installed import ROOT


def production_environment() -> dict[str, str]:
    """An environment in which the settings start as in production, with secrets made up for the occasion."""
    code = "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"
    key = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LOCKGATE_")},
        "LOCKGATE_ENV": "production",
        "LOCKGATE_SECRET_KEY": secrets.token_urlsafe(64),
        "LOCKGATE_ENCRYPTION_KEYS": key,
        "LOCKGATE_BASE_URL": "https://lockgate.example.com",
        "LOCKGATE_ALLOWED_HOSTS": "lockgate.example.com",
        "DATABASE_URL": "postgresql://lockgate:unused@127.0.0.1:1/lockgate",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }


def main() -> int:
    """Run both; the first failure's status."""
    environment = production_environment()
    for arguments in (["check", "--deploy", "--fail-level=WARNING"], ["makemigrations", "--check", "--dry-run"]):
        # The database that is not there makes Django warn that it could not compare the migrations that ran.
        command = [sys.executable, "-W", "ignore::RuntimeWarning", "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
