# The workshop. Every target does its own set-up: it needs python3 (3.11 or newer) with venv, and
# the network the first time.
.PHONY: help setup demo check test sim bench clean

help:
	@echo 'make demo    run a Job to completion and show its output'
	@echo 'make test    run all tests'
	@echo 'make check   format, lint, types, layers, tidiness'
	@echo 'make sim     simulate clusters under faults: SEEDS=2000 of them, from START=0'
	@echo 'make bench   the benchmark table'
	@echo 'make setup   only the set-up: .venv with everything'
	@echo 'make clean   remove what all of these made'

setup: .venv/.kubatch-dev

# What a user gets, and what a developer needs on top. The stamps make a second run instant.
.venv/.kubatch: pyproject.toml scripts/setup
	@scripts/setup
.venv/.kubatch-dev: pyproject.toml scripts/setup
	@scripts/setup dev

demo: .venv/.kubatch
	@scripts/demo

check: .venv/.kubatch-dev
	@scripts/check

test: .venv/.kubatch-dev
	@scripts/test

SEEDS = 2000
START = 0
sim: .venv/.kubatch-dev
	@scripts/sim --seeds $(SEEDS) --start $(START)

bench: .venv/.kubatch-dev
	@.venv/bin/python -m bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
