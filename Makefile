# Every target sets up what it needs: `make run` and `make test` work on a machine with git, make and python3.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup run test test-unit test-system bench lint format generate deb demo clean

help:
	@echo "make run          one cycle by the shipped policies on this machine's real caches"
	@echo "make test         unit and integration tests"
	@echo "make setup        only set up: Debian packages, .venv with .venv/bin/cachewarden"
	@echo "make test-unit    the fast ones alone"
	@echo "make test-system  loop disks, other users, a booted systemd (root)"
	@echo "make bench        side by side with what a user would run instead"
	@echo "make lint         ruff, mypy, import-linter"
	@echo "make generate     the schema and the policy reference, from the table of keys"
	@echo "make demo         a throw-away home with real caches, and a purge of it"
	@echo "make deb          the Debian package: not built yet"

setup:
	@PYTHON=$(PYTHON) .ci/setup run

run: setup
	@$(BIN)/cachewarden --config config/cachewarden.yaml status
	@echo
	@$(BIN)/cachewarden --config config/cachewarden.yaml run

dev:
	@PYTHON=$(PYTHON) .ci/setup dev

test: dev
	$(BIN)/python -m pytest

test-unit: dev
	$(BIN)/python -m pytest tests/unit tests/project

test-system:
	@[ "$$(id -u)" = 0 ] || { echo "test-system needs root: sudo make test-system" >&2; exit 2; }
	@PYTHON=$(PYTHON) .ci/setup system
	$(BIN)/python -m pytest tests/system

bench: dev
	$(BIN)/python tests/bench/bench.py

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: dev
	$(BIN)/python tests/project/regenerate.py

demo: dev
	@$(BIN)/python tests/demo.py

deb:
	@echo "the Debian package is not built yet; see CHANGELOG.md" >&2
	@exit 1

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
