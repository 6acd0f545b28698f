# Needs make and a Python >= 3.11 with venv; `make setup` brings the rest into .venv.

VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
BENCH ?= overhead accuracy
BENCH_ARGS ?=
PEERS := .venv-peers
PEERS_ARGS ?= --small

# The newest Python that CI proves, or else whatever python3 is, if it is new enough. Tried, not only looked up: a
# version manager may put a name on PATH that does not start.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage lint format types contract check bench peers clean

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## make .venv with loopwatch (editable) and all that developing it takes

demo: $(VENV)/.demo ## install the little that it takes and show loopwatch at work
	@$(BIN)/python -m loopwatch.demo

test: $(VENV)/.dev ## run the tests (PYTEST_ARGS="-k gil -x" for some of them)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

coverage: $(VENV)/.dev ## run the tests and say which lines and branches they leave out
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m coverage report

lint: $(VENV)/.dev ## style, formatting, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell loopwatch tests benchmarks docs README.md Makefile pyproject.toml

format: $(VENV)/.dev ## mend what `make lint` can mend by itself
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

types: $(VENV)/.dev ## mypy on the package, pyright on what a user sees of it
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright
	$(BIN)/python .ci/public_types.py

contract: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports --no-logo

check: lint types contract ## lint, types and contract

bench: $(VENV)/.dev ## run the benchmarks (BENCH=overhead BENCH_ARGS=--quick); an hour on a quiet machine, else less to rely on
	@status=0; for name in $(BENCH); do \
		echo "$(BIN)/python -m benchmarks.$$name $(BENCH_ARGS)"; \
		$(BIN)/python -m benchmarks.$$name $(BENCH_ARGS) || status=1; \
	done; exit $$status

peers: $(PEERS)/.peers ## run the peers on the accuracy corpus beside us (PEERS_ARGS= for all of it); 15 minutes on a quiet machine
	$(PEERS)/bin/python -m benchmarks.peers $(PEERS_ARGS)

clean: ## remove .venv, builds and caches
	rm -rf $(VENV) $(PEERS) build dist .coverage .coverage.* htmlcov
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find loopwatch tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ── .venv, in layers; each stamp stands for one that is complete ─────────────────────────────────────────────────────

# pip is renewed first: what Python brings may be too old to know --group (25.1).
$(VENV)/.pip:
	@test -n "$(PYTHON)" || { echo 'No Python >= 3.11 with venv found; name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@touch $@

# Apart from .venv, since some peers bring pytest plugins. A Python >= 3.12, or loopsentry is left out.
$(PEERS)/.peers: pyproject.toml
	@test -n "$(PYTHON)" || { echo 'No Python >= 3.11 with venv found; name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo "making $(PEERS) with $(PYTHON), and installing the peers (several minutes, 700 MB)"
	@"$(PYTHON)" -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable . --group peers
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	@echo "installing loopwatch and what the demo uses"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml
	@echo "installing loopwatch and the development tools (a minute or so)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]' --group dev
	@touch $(VENV)/.demo $@
