# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENDPOINT ?= tcp://127.0.0.1:5570

.PHONY: demo warm test lint types contracts pytest attack bundles bench schema clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

.PHONY: test-newest test-frameworks lock sbom audit
TOOLS := .venv-tools
NEWEST := .venv-newest
FRAMEWORKS := .venv-frameworks
PIP := -m pip --quiet --disable-pip-version-check install
# --no-deps: a lock holds everything already, so pip has nothing to resolve and may take nothing else.
LOCKED := $(PIP) --no-deps --require-hashes --requirement
OURS := --editable . --editable models/weights
SHORT := not attack and not long
PROJECTS := pyproject.toml models/weights/pyproject.toml
# What needs a framework and is skipped where there is none, wherever it stands, and what none of them may send.
WITHIN := tests/integrations tests/unit/integrations tests/engine/test_turntaking.py tests/unit/plugins/turntaking \
	tests/attack/test_privacy_outbound.py

$(VENV)/.base: requirements/base.txt requirements/build.txt $(PROJECTS)
	@tools/check_python.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(LOCKED) requirements/base.txt --requirement requirements/build.txt
	$(BIN)/python $(PIP) --no-deps --no-build-isolation $(OURS)
	@touch $@

$(VENV)/.test: $(VENV)/.base requirements/test.txt requirements/torch.txt
	@tools/system_packages.sh
	$(BIN)/python $(LOCKED) requirements/test.txt
	tools/install_torch.sh $(BIN)/python
	@touch $@

warm: $(VENV)/.base ## compile all kernels ahead, which the first start would do otherwise
	@$(BIN)/rtemo warm

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
	@$(BIN)/rtemo warm # else whichever test comes first would compile the kernels in its own time
	@# What is timed, or listens to a device, has the machine to itself; all else runs side by side.
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "$(SHORT) and not timed"; beside=$$?; \
	$(BIN)/python -m pytest -m "$(SHORT) and timed" && exit $$beside

attack: $(VENV)/.test ## the long form of the attacks and of other tests: minutes to hours, floods and faults
	$(BIN)/python -m pytest -m "attack or long"

test-newest: ## everything, with the newest releases that pyproject.toml allows instead of the locked ones
	@tools/check_python.sh $(PYTHON)
	@tools/system_packages.sh
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python $(PIP) 'hatchling>=1.25' editables
	$(NEWEST)/bin/python $(PIP) --no-build-isolation --editable '.[test]' --editable models/weights
	@touch $(NEWEST)/.base && touch $(NEWEST)/.test
	RTEMO_UNLOCKED=1 $(MAKE) --no-print-directory VENV=$(NEWEST) test

$(FRAMEWORKS)/.test: requirements/frameworks.txt requirements/torch.txt $(PROJECTS)
	@tools/check_python.sh $(PYTHON)
	@tools/system_packages.sh
	$(PYTHON) -m venv --clear $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python $(LOCKED) requirements/frameworks.txt
	tools/install_torch.sh $(FRAMEWORKS)/bin/python
	$(FRAMEWORKS)/bin/python $(PIP) --no-deps --no-build-isolation $(OURS)
	@touch $@

test-frameworks: $(FRAMEWORKS)/.test ## inside pipecat, LiveKit and Wyoming, and on nodes of Ray, in an environment of its own
	$(FRAMEWORKS)/bin/python -m pytest $(WITHIN)

schema: $(VENV)/.base ## write the JSON Schema of every event anew
	$(BIN)/python -m rtemo.io.schema --out docs/schema

bundles: $(VENV)/.base ## write the list of known model bundles anew, before a release
	$(BIN)/python -m rtemo.runtime.known

bench: $(VENV)/.base ## cost of the chain on this machine
	$(BIN)/rtemo bench

$(TOOLS)/.tools: requirements/tools.txt
	@tools/check_python.sh $(PYTHON)
	$(PYTHON) -m venv --clear $(TOOLS)
	$(TOOLS)/bin/python $(LOCKED) requirements/tools.txt
	@touch $@

lock: $(TOOLS)/.tools ## choose all versions in requirements/ anew; KEEP=1 only adds and removes what pyproject.toml asks for
	$(TOOLS)/bin/python tools/lock.py --uv $(TOOLS)/bin/uv $(if $(KEEP),--keep)
	@tools/lock_node.sh $(if $(KEEP),install,update)

sbom: $(TOOLS)/.tools ## write dist/rtemo.cdx.json, the bill of materials (CycloneDX) of what rtemo runs with
	$(TOOLS)/bin/python tools/sbom.py --cyclonedx $(TOOLS)/bin/cyclonedx-py --out dist/rtemo.cdx.json

audit: $(TOOLS)/.tools ## ask for known vulnerabilities of the locked packages
	@$(TOOLS)/bin/python tools/audit.py --pip-audit $(TOOLS)/bin/pip-audit

clean: ## remove the environments and all caches
	rm -rf $(VENV) $(TOOLS) $(NEWEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
