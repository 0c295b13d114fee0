# What a contributor runs. `make help` lists it; CONTRIBUTING.md says when.
PYTHON := .venv/bin/python
SETUP := python3 -m deploy.local setup
CODE := access audit connectors console deploy gateway people tests manage.py
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset test test-newest test-wide test-servers test-sqlserver clients check format lock bench-lifecycle bench-gateway bench-console findings

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: system packages, Python packages, front-end files
	@$(SETUP)

demo: setup ## run everything on this machine until Ctrl-C; LOCKGATE_PORT and LOCKGATE_DATA choose where
	@exec python3 -m deploy.local demo

demo-reset: ## forget the demo's data
	@python3 -m deploy.local reset

test: ## the whole suite, on its own PostgreSQL, MariaDB and Redis, with a browser and a JVM
	@$(SETUP) --browser --clients
	$(PYTHON) -m pytest --numprocesses=4 --dist=loadgroup $(PYTEST)
	@$(MAKE) --no-print-directory test-newest

test-newest: ## what the newest PostgreSQL and MariaDB do differently: part of `make test`
	LOCKGATE_TEST_POSTGRESQL_VERSION=18 LOCKGATE_TEST_MARIADB_VERSION=11.8 $(PYTHON) -m pytest \
		--numprocesses=4 --dist=loadgroup -k "postgresql or mariadb" tests/connectors \
		tests/lifecycle/test_lifecycle.py tests/lifecycle/test_same_server.py $(PYTEST)

test-wide: ## every case of the tests of which `make test` has a part: matrices of pages, roles and states, odd input, faults
	@$(SETUP) --browser --clients
	$(PYTHON) -m pytest --numprocesses=4 --dist=loadgroup --wide -m wide $(PYTEST)

test-servers: ## the servers' suites on PostgreSQL 13 to 18 and MariaDB 10.11 and 11.8; writes the table of docs and README
	@$(SETUP) --browser --clients
	$(PYTHON) -m tests.matrix $(MATRIX)

test-sqlserver: ## what SQL Server promises, on the server that LOCKGATE_TEST_SQLSERVER_URL names
	@test -n "$$LOCKGATE_TEST_SQLSERVER_URL" || { echo "Name a server in LOCKGATE_TEST_SQLSERVER_URL: mssql://user:password@host:port/?encrypt=yes"; exit 2; }
	@$(SETUP) --browser
	$(PYTHON) -m pytest -k sqlserver tests/connectors/test_contract.py \
		tests/connectors/test_contract_telling.py tests/connectors/test_contract_own_password.py \
		tests/connectors/test_sqlserver_live.py tests/lifecycle tests/browser $(PYTEST)

clients: ## every client through a gateway with default rules; writes the matrix of docs/clients.md; ONLY="psql-17 asyncpg" tries some
	@$(SETUP) --all-clients
	$(PYTHON) -m tests.clients $(if $(ONLY),--only $(ONLY))

check: setup ## ruff, mypy --strict, import contracts, Django's checks, missing migrations
	$(PYTHON) -m ruff check $(CODE)
	$(PYTHON) -m ruff format --check $(CODE)
	LOCKGATE_ENV=development $(PYTHON) -m mypy
	.venv/bin/lint-imports
	$(PYTHON) -m deploy.checks

format: setup ## put the code in its form
	$(PYTHON) -m ruff check --fix-only --quiet $(CODE)
	$(PYTHON) -m ruff format $(CODE)

lock: ## make the lock files anew from pyproject.toml and package.json
	$(PYTHON) -m deploy.locks

bench-lifecycle: setup ## approval to login, end to nothing left, two hundred ends at once; last line is JSON
	@$(PYTHON) -m tests.bench.lifecycle

bench-gateway: ## the gateway beside the server alone and beside PgBouncer, in one run; last line is JSON
	@$(SETUP) --bench
	@$(PYTHON) -m tests.bench.gateway

findings: ## what real servers and drivers do that nobody would guess, tried on pinned public packages
	@findings/run.sh

bench-console: setup ## every page in a big company, beside the build that BASE names; last line is JSON
	@$(PYTHON) -m tests.bench.console_speed
