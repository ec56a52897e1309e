# Every target makes the environment it needs in .venv; a second call only checks two stamps.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS ?= 2
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check lock clean requisites

help: ## Print this help
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

demo: $(VENV)/run.stamp ## Show one incident from fault to recovery on a simulated arm; ARGS="--seed 3" for flags
	@$(BIN)/remend demo $(ARGS)

test: $(VENV)/dev.stamp ## Run all tests; ARGS="tests/core" for some, JOBS=4 for more processes
	@$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/dev.stamp ## Check format, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## Resolve the requirements anew in a fresh environment and write both lock files
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet setuptools -e '.[service]'
	@build/lock/bin/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sort -f > requirements.lock
	@build/lock/bin/python -m pip install --quiet -r requirements.lock -e '.[service,rl,dev]'
	@build/lock/bin/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu$$//' | sort -f \
		| grep -vxF -f requirements.lock > requirements-dev.lock
	@rm -rf build/lock

clean: ## Remove the environment, caches and build products; recordings and the home folder stay
	rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +

requisites:
	@test -n "$(PYTHON)" || { echo 'Remend needs Python 3.11 or newer, and there is no python3 here.' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Remend needs Python 3.11 or newer;' \
		"$(PYTHON) is $$($(PYTHON) -V 2>&1): name another with \"make PYTHON=python3.11\"." >&2; exit 1; }
	@$(PYTHON) -c 'import ctypes, sys; sys.platform != "linux" or ctypes.CDLL("libgomp.so.1")' 2>/dev/null || { \
		echo 'The rigid-body library needs libgomp.so.1: run "sudo apt-get install libgomp1", then repeat.' >&2; exit 1; }

$(VENV)/made.stamp: | requisites
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python cannot make an environment: run "sudo apt-get install python3-venv", then repeat.' >&2; exit 1; }
	@echo 'Making the environment in $(VENV); this takes a minute once.'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/made.stamp requirements.lock pyproject.toml
	@$(PIP) install --no-deps -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	@$(PIP) install -r requirements.lock -r requirements-dev.lock # with what a build of PyTorch for GPUs needs
	@touch $@
