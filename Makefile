# make rehearse   the whole walkthrough on this machine, with a real solver; no AWS account, nothing to pay
# make test       all tests but those of images (make test-images)            make lint   types and style
# make security   checkov over the template, parliament over every policy
# make bench      the benchmarks       make docs   the generated pages of docs/
# make screens    the pictures of docs/screens, taken of real runs in a terminal (some minutes)
# make faults     hundreds of jobs while nodes die and services fail: is one lost, or done twice? (15 minutes)
# make images     the nodes' images, satcomp-infrastructure:leader and :worker (make images BASE=debian:12), and the sample's
# make .venv      just the environment that the commands need: then type 'source .venv/bin/activate'

PYTHON ?= python3
BIN := .venv/bin
# The setting: a line for Python's path, not a program that takes 20 ms at each start of Python.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat
# Three for two processors: half of the tests' time is waiting for processes. A file stays in one process, whose clouds it shares.
TEST_PROCESSES ?= $(shell expr 3 \* `getconf _NPROCESSORS_ONLN` / 2)

.PHONY: rehearse test lint security bench faults docs screens images test-images .venv clean

rehearse: .venv
	$(BIN)/python rehearse $(ARGS)

test: .venv/ready-test .venv-aws/ready
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

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
	$(INSTALL) --editable '.[local,plot]'
	@touch $@

.venv/ready-test: .venv/ready
	$(INSTALL) --editable '.[test]'
	@touch $@

# AWS's own command line, which the README uses for files: it wants a version of botocore of its own.
.venv-aws/ready:
	$(PYTHON) -m venv .venv-aws
	.venv-aws/bin/python -m pip install --quiet --disable-pip-version-check awscli
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
	$(BIN)/python benchmarks/suite.py

faults: .venv/ready-test
	$(BIN)/python -m benchmarks.faults $(ARGS)

docs: .venv/ready-test
	$(BIN)/python docs/build.py
	$(BIN)/python -m tools.permissions

screens: .venv/ready-test
	$(BIN)/python -m tools.screens $(ARGS)

# Both together: they share the key pair that lets a leader in on its workers. Then the sample solver's, on top.
BASE ?= ubuntu:24.04
BUILD = docker build --platform linux/amd64 --build-arg BASE=$(BASE) $(BUILD_ARGS)
images: .venv
	rm -rf build/images build/lib
	mkdir -p build/images/wheels
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/images .
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
	  > build/images/wheels/requirements.txt
	cp docker/node docker/healthy docker/sshd_config build/images
	for role in leader worker; do \
	  $(BUILD) --target $$role --tag satcomp-infrastructure:$$role --file docker/Dockerfile build/images && \
	  $(BUILD) --build-arg ROLE=$$role --tag sample-solver:$$role docker/sample-solver || exit 1; \
	done
	docker image ls satcomp-infrastructure
	docker image ls sample-solver

# The tests of the images, in an engine of their own (build/test-engine), as root: they take minutes, so make test hasn't them.
test-images: .venv/ready-test
	SATCOMP_TEST_IMAGES=yes $(BIN)/pytest --timeout 1800 tests/images $(ARGS)

clean:
	rm -rf .venv .venv-aws .venv-tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
