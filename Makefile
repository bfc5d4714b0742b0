# make rehearse   the whole walkthrough on this machine, with a real solver; no AWS account, nothing to pay
# make test       all tests            make lint   types and style
# make security   checkov over the template, parliament over every policy
# make bench      the benchmarks       make docs   the generated pages of docs/
# make faults     hundreds of jobs while nodes die and services fail: is one lost, or done twice? (15 minutes)
# make .venv      just the environment that the commands need: then type 'source .venv/bin/activate'

PYTHON ?= python3
BIN := .venv/bin
# Two for each processor: half of the tests' time is waiting for processes.
TEST_PROCESSES ?= $(shell expr 2 \* `getconf _NPROCESSORS_ONLN`)

.PHONY: rehearse test lint security bench faults docs .venv clean

rehearse: .venv
	$(BIN)/python rehearse $(ARGS)

test: .venv/ready-test
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

security: .venv/ready .venv-tools/ready
	$(BIN)/python -m tools.rendering build/security
	.venv-tools/bin/python tools/check_security.py build/security

.venv: .venv/ready

# The stamps are made last, so that an installation that failed is not taken for a good one.
.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old: Python 3.11 or later is needed. Name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

.venv/ready-test: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

# Checkov wants other versions of what the commands need.
.venv-tools/ready: tools/requirements.txt
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/requirements.txt
	@touch $@

bench: .venv
	$(BIN)/python benchmarks/empty_bucket.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/model_check.py

faults: .venv/ready-test
	$(BIN)/python -m benchmarks.faults $(ARGS)

docs: .venv/ready-test
	$(BIN)/python docs/build.py
	$(BIN)/python -m tools.permissions

clean:
	rm -rf .venv .venv-tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
