# Everything a person does here is one word: `make` lists them. Only make and a Python >= 3.11 are assumed.

# The first interpreter that is new enough; say `make PYTHON=/path/to/python …` for another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
# The installer says what it does where a person looks on.
QUIET := $(shell test -t 2 || echo --quiet)
PIP := $(BIN)/python -m pip --disable-pip-version-check $(QUIET)
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help setup run fmt check test test-full bench lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.for-work ## make .venv and install everything pinned, nothing more

run: $(VENV)/.for-run ## install and start all of tidemark here; Ctrl-C stops it (ARGS="--port 8090" for another port)
	@exec $(BIN)/tidemark up $(ARGS)

fmt: setup ## put the code into its form
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format --quiet .

check: setup ## lint, form, types and floors; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: setup ## all tests but the slow ones
	$(PYTEST) -m 'not slow'

test-full: setup ## all tests
	$(PYTEST)

bench: setup ## measure the budgets on this machine, about 5 minutes (FULL=1 for histories of 10^7 messages)
	$(BIN)/python -m bench $(if $(FULL),--full)

lock: setup ## pin the newest versions anew, with hashes and without addresses
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) -c requirements.txt requirements-dev.in -o requirements-dev.txt

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "tidemark needs Python 3.11 or newer, and '$(PYTHON)' is not: say make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import platform as p, sys; sys.exit(p.machine().lower() not in ("x86_64", "amd64", "arm64", "aarch64") \
		or p.system() != "Darwin" and p.libc_ver()[0] != "glibc")' || { \
		echo "tidemark comes with servers for Linux (glibc) and macOS on x86_64 and arm64 only" >&2; exit 1; }
	@echo "making $(VENV)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "'$(PYTHON) -m venv' failed: install the venv module of this Python" >&2; exit 1; }
	@touch $@

# A stamp is written last, so an installation that was cut short is done again.
$(VENV)/.for-run: requirements.txt pyproject.toml | $(VENV)/.made
	@echo "installing what tidemark runs on (about 150 MB, a minute or so)"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.for-work: requirements-dev.txt $(VENV)/.for-run
	@echo "installing what the tests and checks need (about 250 MB)"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
