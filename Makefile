# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENDPOINT ?= tcp://127.0.0.1:5570

.PHONY: demo test lint types contracts pytest attack bundles bench schema clean help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/.base: pyproject.toml
	@tools/check_python.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.base pyproject.toml
	@tools/system_packages.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/.base ## play the example call: live view here, events received over ZeroMQ beside it
	@tools/demo.sh $(BIN)/rtemo $(ENDPOINT)

test: lint types contracts pytest ## everything: lint, types, import contracts, tests

lint: $(VENV)/.test ## style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.test ## who may import whom
	$(BIN)/lint-imports

pytest: $(VENV)/.test ## all tests
	$(BIN)/python -m pytest

attack: $(VENV)/.test ## the long form of the attacks: minutes to hours, floods and faults
	$(BIN)/python -m pytest -m attack tests/attack

schema: $(VENV)/.base ## write the JSON Schema of every event anew
	$(BIN)/python -m rtemo.io.schema --out docs/schema

bundles: $(VENV)/.base ## write the list of known model bundles anew, before a release
	$(BIN)/python -m rtemo.runtime.known

bench: $(VENV)/.base ## cost of the chain on this machine
	$(BIN)/rtemo bench

clean: ## remove the environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
