# Everything is set up on demand and only once: a stamp in .venv stands for what was installed from which lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
# Those that a pooler between can make a difference to.
DATABASE_TESTS := $(filter-out %/test_embedded.py %/test_packaging.py %/test_processes.py %/test_replay_client.py \
  %/test_dashboard_sources.py %/test_mail_ways.py,$(wildcard tests/integration/test_*.py))

# Of those, what holds locks, listens, streams, races, or runs a statement each: the rest does as these do.
POOLED_IN_CI := $(foreach name,all_or_none cache callbacks database_away deliveries group_commit health http_idempotency \
  inbox ingest_order interruptions invitations invoices jobs layby_races layby_sweeps laybys ledger live_view members \
  payment_races plans promised_events push recovery relay relay_rows reports schema sending sessions_at_once snapshots \
  statements timed_runs track_imports trip_races units_of_work watchers webhook_sending,tests/integration/test_$(name).py)
POOLED ?= $(DATABASE_TESTS)

.DEFAULT_GOAL := help
.PHONY: help run test test-long test-pooler test-pooler-short check bench web screens lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run web ## start everything with a demo; options: make run ARGS="--port 18080 --data DIR"
	@$(BIN)/waypost up --demo $(ARGS)

test: $(VENV)/.dev web $(VENV)/.js ## every test (browser tests where there is a Chromium); ARGS go to pytest
	@$(BIN)/pytest -n auto --dist worksteal $(ARGS)

test-long: $(VENV)/.dev web $(VENV)/.js ## the same with the long forms of storms, races and soaks
	@$(BIN)/pytest -m "long or not long" --hypothesis-profile=explore $(ARGS)

test-pooler: $(VENV)/.dev ## the integration tests with a PgBouncer in transaction mode between, where there is one
	@PATH="$$PATH:/usr/sbin"; command -v pgbouncer > /dev/null || { echo "no pgbouncer here: left out"; exit 0; }; \
	  $(BIN)/pytest -q -n auto --dist worksteal --pooler $(POOLED) $(ARGS)

test-pooler-short: POOLED = $(POOLED_IN_CI)
test-pooler-short: test-pooler ## the part of it that CI runs

check: $(VENV)/.dev ## format, lint, types, imports, unit tests: within a minute
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }
	@$(BIN)/pytest -q tests/unit

bench: $(VENV)/.dev ## measure; options: make bench ARGS="ping --seconds 10"
	@$(BIN)/python -m loadtest $(ARGS)

web: $(VENV)/.run $(VENV)/.node ## build the dashboard, if its sources changed
	@$(BIN)/python hatch_build.py

screens: $(VENV)/.dev web ## screenshots of every page into build/screens
	@$(BIN)/python -m tests.e2e.screens $(ARGS)

lock: $(VENV)/.dev ## resolve the dependencies anew
	@$(BIN)/python requirements/lock.py $(ARGS)

clean: ## remove what was installed and built here
	rm -rf $(VENV) build dist server/waypost/web dashboard/node_modules tests/e2e/js/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Waypost needs Python 3.11 or later; $(PYTHON) is older or missing. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make $(VENV): is the package python3-venv installed?"; exit 1; }

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "installing what it needs to run"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "installing the tools"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# A machine without a fit Node.js gets one from pip.
$(VENV)/.node: requirements/node.txt | $(VENV)/.run
	@$(BIN)/python -c 'import hatch_build, sys; sys.exit(hatch_build.node_on_path() is None)' || { \
	  echo "installing Node.js into $(VENV)"; $(PIP) install --require-hashes -r requirements/node.txt; }
	@touch $@

# The official Socket.IO client and AsyncAPI's schema, for the tests that use them.
$(VENV)/.js: tests/e2e/js/package-lock.json | $(VENV)/.node
	@$(BIN)/python -c 'import hatch_build as h; h.find_node().run_npm("ci", folder=h.Path("tests/e2e/js"))'
	@touch $@
