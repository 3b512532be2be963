.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PROFILE ?= korea
BONGSU_HOME ?= $(CURDIR)/.bongsu
UV_VERSION := 0.13.9
BIN := .venv/bin
export BONGSU_HOME
# No dependency reports home.
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

# uv lives in a venv of its own, so the machine needs Python and make only.
.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: requirements.lock pyproject.toml | .uv/bin/uv
	.uv/bin/uv venv --quiet --clear --python $(PYTHON) .venv
	VIRTUAL_ENV=.venv .uv/bin/uv pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=.venv .uv/bin/uv pip install --quiet --no-deps --editable .
	touch $@

setup: .venv/.ready ## Install everything into .venv

.PHONY: help setup
