.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PROFILE ?= korea
AS_OF ?=
PYTEST_OPTIONS ?= -n 2 --dist loadfile --no-loadscope-reorder -q
# `.ci/run` measures coverage and fails below the minimum in pyproject.toml. Without it the tests run faster.
COVERAGE_OPTIONS ?=
CONF = {"profile": "$(PROFILE)"$(if $(AS_OF),$(comma) "as_of": "$(AS_OF)")}
comma := ,
BONGSU_HOME ?= $(CURDIR)/.bongsu
UV_VERSION := 0.13.9
BIN := .venv/bin
export BONGSU_HOME
export AIRFLOW_HOME := $(BONGSU_HOME)/airflow
export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
export AIRFLOW__CORE__LOAD_EXAMPLES := False
# LocalExecutor deadlocks were reported at high parallelism; two cores need little parallelism anyway.
export AIRFLOW__CORE__PARALLELISM := 4
# Airflow's page listens on this machine only, unless AIRFLOW__API__HOST is set.
AIRFLOW__API__HOST ?= 127.0.0.1
export AIRFLOW__API__HOST
# Airflow sets the modes of its task logs itself, whatever the umask.
export AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS := 0o700
export AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS := 0o600
# No dependency sends usage reports.
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

# uv lives in a venv of its own, so the machine needs only Python and make.
.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: requirements.lock pyproject.toml | .uv/bin/uv
	.uv/bin/uv venv --quiet --clear --python $(PYTHON) .venv
	VIRTUAL_ENV=.venv .uv/bin/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=.venv .uv/bin/uv pip install --quiet --no-deps --editable .
	touch $@

setup: .venv/.ready ## Install everything into .venv

run: .venv/.ready airflow-home ## Set up, then run the real daily DAG once in-process, and print its status
	@umask 077; status=0; BONGSU_RETRIES=0 $(BIN)/airflow dags test daily --conf '$(CONF)' 2>&1 \
	  | tee $(AIRFLOW_HOME)/run.log | sed -un 's/ run=[^ ]* step=.*//; s/.*\(bongsu: [^[]*\).*/\1/p' || status=$$?; \
	  $(BIN)/bongsu status --newest-run $(if $(AS_OF),--as-of $(AS_OF)) || status=$$?; \
	  [ $$status = 0 ] || echo "The run failed; its full log is $(AIRFLOW_HOME)/run.log" >&2; exit $$status

# Not `airflow standalone`: its log servers listen on all interfaces, and no setting changes that. The page reads the
# logs from $(AIRFLOW_HOME) without them.
airflow: .venv/.ready airflow-home ## Start Airflow's web page with the schedule, ready to unpause
	@umask 077; export PATH="$(CURDIR)/$(BIN):$$PATH"; trap 'kill $$(jobs -p) 2>/dev/null || true; wait' EXIT; \
	  echo "http://$$AIRFLOW__API__HOST:8080 user=admin password in $(AIRFLOW_HOME)/simple_auth_manager_passwords.json.generated"; \
	  for part in "scheduler --skip-serve-logs" dag-processor api-server "triggerer --skip-serve-logs"; do \
	    airflow $$part & \
	  done; wait

airflow-home: .venv/.ready
	@mkdir -p -m 711 $(BONGSU_HOME) && mkdir -p -m 700 $(AIRFLOW_HOME)
	@umask 077; $(BIN)/airflow db migrate >$(AIRFLOW_HOME)/migrate.log 2>&1
	@umask 077; $(BIN)/airflow pools set warehouse 1 "the single DuckDB writer" >>$(AIRFLOW_HOME)/migrate.log 2>&1

test: .venv/.ready ## Set up, then run all tests
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) $(COVERAGE_OPTIONS)

test-fast: .venv/.ready ## Run the tests without the slow ones
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_OPTIONS)

check: .venv/.ready ## Check format, lint, wording and types, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.language
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --disable-progress-bar sql

format: .venv/.ready ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ready ## Generate the pages of docs/ that follow from the code, and check every link
	$(BIN)/python -m tests.docs

bench: .venv/.ready ## Time whole steps and print ratios
	$(BIN)/python -m tests.benchmarks.bench

equivalence: .venv/.ready ## Build one landing with the base commit and with this tree, and compare every table
	$(BIN)/python -m tests.equivalence $(PLACE)

lock: .uv/bin/uv ## Resolve every version and hash again, without index URLs
	.uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 pyproject.toml --group dev -o requirements.lock

.PHONY: help setup run airflow airflow-home test test-fast check format docs bench equivalence lock
