"""What every test shares. The servers are started by `tests.servers`, before anything else."""

pytest_plugins = ["tests.audit.plugin"]
