# Everything happens in .venv. A stamp in it, older than pyproject.toml or absent, means that the install is due.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
BENCH_FLAGS ?=
PYTHON ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench zoo recovery search-quality search-live cluster storage clean

help:
	@echo 'make demo    search the embedded task, print the front, write an HTML report (runs/demo)'
	@echo 'make test    check the code, then run every test'
	@echo 'make check   formatting, lint, types and the order of the floors only'
	@echo 'make bench   run the benchmarks in full; BENCH_FLAGS=--quick for a reduced run'
	@echo 'make recovery  what wins accuracy back, by three seeds (hours; goes on where it was stopped)'
	@echo 'make search-quality  our search beside all others on recorded real surfaces (hours; goes on where it was stopped)'
	@echo 'make search-live  what the structure-first cut and the lower rung save of real searches (hours; goes on where it was stopped)'
	@echo 'make cluster  overhead, utilisation, speed-up and faults of searches on many workers (an hour on two idle cores)'
	@echo 'make storage  k-means, Deep Compression of the LeNets, the demo by stored size, the .pare file (half an hour)'
	@echo 'make zoo     every torchvision model through every technique (an hour); writes docs/coverage.md'
	@echo 'make clean   remove caches and build outputs; the environment and runs/ stay'
	@echo
	@echo 'PYTHON=... picks the interpreter (3.11 or newer) that the environment is made with.'

demo: $(VENV)/.installed
	$(BIN)/parefront search cluttered-digits --hardware cpu-ort-1t --trials 24 --finals 5 --out runs/demo

# Two at a time, and what a file's tests share is made once: see tests/conftest.py.
test: check
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

check: $(VENV)/.installed-dev
	$(BIN)/python scripts/check

bench: $(VENV)/.installed-peers
	@set -e; for name in main_job techniques meter screening trainer_overhead; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(BENCH_FLAGS); done

recovery: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.recovery $(BENCH_FLAGS)

search-quality: $(VENV)/.installed-peers
	$(BIN)/python -m benchmarks.search_quality --ask --hypervolume $(BENCH_FLAGS)

search-live: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.search_live $(BENCH_FLAGS)

cluster: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.cluster $(BENCH_FLAGS)

storage: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.storage $(BENCH_FLAGS)

zoo: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.zoo --jobs 2

clean:
	rm -rf build dist .typing .mypy_cache .pytest_cache .ruff_cache parefront.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  $$python -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "error: $$python cannot make an environment; install its venv module: apt-get install $$(basename $$python)-venv" >&2; exit 1; }; \
	  echo "making $(VENV) with $$python"; exec $$python -m venv --clear $(VENV); \
	done; \
	echo 'error: no Python 3.11 or newer found; install one (apt-get install python3.11 python3.11-venv) or say which: make PYTHON=/path/to/python' >&2; exit 1

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-peers: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev,peers]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev
