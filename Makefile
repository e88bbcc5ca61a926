# Every target sets up what it needs: `make run` and `make test` work on a machine with git, make and python3.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup run test test-unit test-system bench lint format generate deb install uninstall demo clean

help:
	@echo "make run          one cycle by the shipped policies on this machine's real caches"
	@echo "make test         unit and integration tests"
	@echo "make setup        only set up: Debian packages, .venv with .venv/bin/cachewarden"
	@echo "make test-unit    the fast ones alone"
	@echo "make test-system  loop disks, other users, the package on booted Debians (root)"
	@echo "make bench        side by side with what a user would run instead: an hour or two, and the tables in docs/ are made anew;"
	@echo "                  QUICK=1: minutes, into build/ alone; ONLY='walk purge'; the idle hour: ONLY=idle MINUTES=60 MODE=user"
	@echo "make lint         ruff, mypy, import-linter"
	@echo "make generate     schema, policy reference, manual pages and completions, from keys and parsers"
	@echo "make demo         a throw-away home with real caches, a purge of it and (root) a move of it"
	@echo "make deb          the Debian package, checked: build/deb/cachewarden_VERSION_all.deb"
	@echo "make install      without a package: a venv in /opt/cachewarden, and the service (root; honours DESTDIR)"
	@echo "make uninstall    takes that back; with PURGE=1 configuration, state and user too"

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
	@PYTHON=$(PYTHON) .ci/setup deb
	@.ci/deb
	$(BIN)/python -m pytest tests/system

bench:
	@PYTHON=$(PYTHON) .ci/setup bench
	PYTHONPATH=daemon:tests $(BIN)/python -m bench $(if $(QUICK),--quick) $(ONLY:%=--only %) $(if $(MINUTES),--minutes $(MINUTES)) $(MODE:%=--mode %)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: dev
	PYTHONPATH=tests $(BIN)/python -m project.regenerate

demo: dev
	@$(BIN)/python tests/demo.py

deb:
	@PYTHON=$(PYTHON) .ci/setup deb
	@.ci/deb

install:
	@[ -n "$(DESTDIR)" ] || PYTHON=$(PYTHON) .ci/setup install
	@PYTHON=$(PYTHON) DESTDIR="$(DESTDIR)" .ci/install install

uninstall:
	@DESTDIR="$(DESTDIR)" PURGE=$(PURGE) .ci/install uninstall

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
