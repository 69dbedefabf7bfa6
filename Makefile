# `make demo` runs the main job, `make test` runs the tests; both set up all they need first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# AWS on this machine, for tests: with versions of its own, and so in an environment of its own.
MINISTACK := .venv-ministack

.PHONY: install demo test lint lab-up lab-down bench wheel clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo      the main job on recorded logs (no root, no network after the installation)"
	@echo "make test      all checks and tests; as root also the lab with a real Squid and Active Directory"
	@echo "make lint      ruff and mypy"
	@echo "make lab-up    start the lab (root)       make lab-down   stop it"
	@echo "make bench     speed and memory beside wc and GoAccess"

install: $(STAMP)

# Debian keeps venv's ensurepip in a package of its own.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get install -y -q --no-install-recommends python3-venv >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv; }; \
	  else echo "Python's venv is missing: as root, apt-get install python3-venv" >&2; exit 1; fi; }
	@[ -x $(BIN)/python ] || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing pfsquid and what it needs into $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(MINISTACK)/.installed: tests/aws/ministack.txt | install
	@[ -x $(MINISTACK)/bin/python ] || { echo "making $(MINISTACK)"; $(PYTHON) -m venv $(MINISTACK); }
	@$(MINISTACK)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/aws/ministack.txt
	@touch $@

demo: install
	@$(BIN)/pfsquid demo

# Each of the two workers has a lab of its own, in which the files of tests run one after the other.
test: lint $(MINISTACK)/.installed
	@$(BIN)/python -m pytest -q -m "not lab" -n 2
	@$(BIN)/python -m pytest -q -m lab -n 2 --dist loadfile

lint: install
	@$(BIN)/ruff format --check --quiet . || { echo "next: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

lab-up: install
	@$(BIN)/python -m tests.lab up

lab-down: install
	@$(BIN)/python -m tests.lab down

bench: install
	@$(BIN)/python bench/ingest.py

wheel: install
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf $(VENV) $(MINISTACK) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
