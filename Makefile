# Modeldeck: everything a person does with a checkout. `make` alone lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV_VERSION := 0.13.9

LOCK := --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

RUNTIME := $(VENV)/.runtime
TOOLS   := $(VENV)/.tools

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run demo stop check test test-unit test-integration test-browser bench soak lock clean

help: ## list these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) ## build the environment that the application runs in

run: $(RUNTIME) ## open the application on this machine
	@exec $(BIN)/python -m core run

demo: $(RUNTIME) ## train the sample project from the command line
	@exec $(BIN)/python -m core demo

stop: ## end every process that Modeldeck started
	@test -x $(BIN)/python || { echo "Nothing to stop: there is no environment yet"; exit 0; }; \
		exec $(BIN)/python -m core stop

check: $(TOOLS) ## style, types, import rules and documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core
	$(BIN)/lint-imports
	$(BIN)/python -m tests.checks

test: $(TOOLS) ## every test; installs a browser when there is none
	$(BIN)/python -m tests.browser_setup
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile $(ARGS)

test-unit: $(TOOLS) ## the tests that start no server and no browser
	$(BIN)/python -m pytest -m "not browser and not server and not postgres" $(ARGS)

test-integration: $(TOOLS) ## the tests against real servers, without a browser
	$(BIN)/python -m pytest -m "(server or postgres) and not browser" $(ARGS)

test-browser: $(TOOLS) ## the tests that drive a browser
	$(BIN)/python -m tests.browser_setup
	$(BIN)/python -m pytest -m browser $(ARGS)

bench: $(TOOLS) ## measure, and print what was measured
	$(BIN)/python -m benchmarks

soak: $(TOOLS) ## the long proofs of the promotion desk, in full
	$(BIN)/python -m tests.soak $(ARGS)

lock: $(TOOLS) ## resolve pyproject.toml into the pinned requirements again
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -o requirements.txt
	$(BIN)/uv pip compile pyproject.toml --group dev -c requirements.txt $(LOCK) -o tests/requirements.txt

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs in seconds what takes pip minutes; where it cannot be had, pip does the same work.
INSTALL = if [ -x $(BIN)/uv ]; \
	then $(BIN)/uv pip install --quiet --python $(BIN)/python -r $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(1); fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Modeldeck needs Python 3.11 or newer, but '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>/dev/null || echo not there)." >&2; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Building $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| echo "uv cannot be had here: pip installs instead, which takes longer"

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt"
	@$(call INSTALL,requirements.txt)
	@touch $@

$(TOOLS): tests/requirements.txt $(RUNTIME)
	@echo "Installing tests/requirements.txt"
	@$(call INSTALL,tests/requirements.txt)
	@touch $@
