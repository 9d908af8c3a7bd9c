# The workshop. Every target does its own set-up: it needs python3 (3.11 or newer) with venv, and
# the network the first time.
.PHONY: help setup demo check test sim chaos soak bench clean

help:
	@echo 'make demo    run a Job to completion and show its output'
	@echo 'make test    run all tests'
	@echo 'make check   format, lint, types, layers, tidiness'
	@echo 'make sim     simulate clusters under faults: SEEDS=2000 of them, from START=0'
	@echo 'make chaos   kill real servers, shims and pods: ROUNDS=200 times, from SEED=1'
	@echo 'make soak    mixed work with a restart each minute, for MINUTES=30: nothing may grow'
	@echo 'make bench   the benchmark table, its JSON and chart: docs/performance.md (10 minutes)'
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

ROUNDS = 200
SEED = 1
chaos: .venv/.kubatch-dev
	@.venv/bin/python -m tests.chaos --rounds $(ROUNDS) --seed $(SEED)

MINUTES = 30
soak: .venv/.kubatch-dev
	@.venv/bin/python -m tests.chaos.soak --minutes $(MINUTES) --seed $(SEED)

bench: .venv/.kubatch-dev
	@.venv/bin/python -m bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
