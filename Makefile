# Both `make demo` and `make test` start from nothing: they make .venv, install into it and run. Only the installing
# needs a network, and it is repeated only when pyproject.toml has changed.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.train ## Train, inspect and report on one laptop, without an account (DEMO_ARGS="--help")
	$(BIN)/copperline demo $(DEMO_ARGS)

.PHONY: test
test: lint ## Run every check: those of lint, then all tests and doctests (PYTEST_ARGS="-k name")
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadgroup --max-worker-restart 0 src tests $(PYTEST_ARGS)

.PHONY: lint
lint: $(VENV)/.test ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: clean
clean: ## Remove .venv and what the tools left; data and models in the workspace stay
	rm -rf $(VENV) .venv-snow build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.train: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[train,dashboard,service]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[train,dashboard,service,mqtt,export,ray,s3,snowflake,notebook,dev]'
	@touch $(VENV)/.train $@

# A name that is on the PATH may still be too old, or lack venv (Debian packs it apart), so each is tried.
$(BIN)/python:
	@rm -rf $(VENV); \
	for python in python3.11 python3.12 python3.13 python3; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$python"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "Copperline needs Python 3.11 or newer with its venv module; found $$(python3 --version 2>&1 || true)." \
	  "Install it (on Debian and Ubuntu: apt install python3 python3-venv) and run make again." >&2; \
	exit 1
