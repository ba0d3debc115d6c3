# Every target makes the environment it needs, from nothing but a Python; see requirements/environment.py.
PYTHON ?= $(shell command -v python3 || command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3.10 || echo python)
ENVIRONMENT = $(PYTHON) requirements/environment.py
PREFIX ?= /opt/audit-s3
SEEDS ?= 50
FIRST ?= 1
MINUTES ?= 60
SECONDS ?= 60
PLATFORM =

.DEFAULT_GOAL := help
.PHONY: help demo app test test-full test-latest system faults fuzz audit sbom wheel soak simulate bench coverage lint lock install uninstall clean

help:  ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo:  ## A local AWS, the providers' audits, the real collector: events and a summary
	@$(ENVIRONMENT) .venv demo >&2
	@.venv/bin/python -m collector demo $(ARGS)

app:  ## The Splunk app, into dist/ (PLATFORM=linux_x86_64: with compiled packages)
	@$(ENVIRONMENT) .venv runtime >&2
	@.venv/bin/python packaging/splunk/build.py --platform="$(PLATFORM)"

test:  ## All but the longest proofs, with accelerators and without, on every Python found from 3.9 to 3.13
	@$(ENVIRONMENT) .venv test browser promql
	@.venv/bin/python -m tests.legs $(ARGS)

test-full:  ## The same, and fail on any skip
	@AUDIT_S3_NO_SKIPS=1 $(MAKE) --no-print-directory test

system:  ## The system programs that some tests need, from Debian's packages (as root)
	@apt-get update -qq && apt-get install -y -qq --no-install-recommends $$(sed 's/#.*//' requirements/system.txt)

test-latest:  ## The newest release of every dependency, not what the locks pin
	@$(ENVIRONMENT) .venv test
	@.venv/bin/python -m tests.legs --latest $(ARGS)

faults:  ## Real collectors killed, paused, throttled, refused and robbed of their checkpoints (about an hour)
	@$(ENVIRONMENT) .venv test faults
	@export FAULTS=all; failed=0; \
	.venv/bin/python -m pytest -q -n 2 --dist=load --timeout=180 tests/faults $(ARGS) || failed=1; \
	.venv/bin/python -m pytest -q -n 2 --dist=loadfile --timeout=180 -m exhaustive tests/contract tests/e2e tests/packaging tests/splunk || failed=1; \
	exit $$failed

fuzz:  ## Every parser under atheris, SECONDS=60 each (NAMES="avro zips": those alone)
	@$(ENVIRONMENT) .venv-fuzz fuzz
	@.venv-fuzz/bin/python -m tests.fuzz $(NAMES) --seconds $(SECONDS)

soak:  ## MINUTES=n of steady work while AWS, HEC and the collectors fail: loss, repeats, memory, descriptors
	@$(ENVIRONMENT) .venv test faults
	@.venv/bin/python -m tests.faults.soak --minutes $(MINUTES)

audit:  ## Every lock against the known vulnerabilities; what could not be looked up fails too
	@$(ENVIRONMENT) .venv-supply-chain supply-chain
	@for lock in requirements/*.lock packaging/splunk/*.lock; do echo "$$lock"; .venv-supply-chain/bin/pip-audit --strict \
		--require-hashes --disable-pip --no-deps --progress-spinner off -r "$$lock" || exit 1; done

sbom:  ## What the program is made of, as CycloneDX: dist/audit-s3.cdx.json
	@$(ENVIRONMENT) .venv-supply-chain supply-chain
	@.venv-supply-chain/bin/python packaging/sbom.py

wheel:  ## The package, into dist/: the same bytes from the same commit
	@$(ENVIRONMENT) .venv test
	@.venv/bin/python packaging/wheel.py

simulate:  ## SEEDS=n histories of the engine under faults, from seed FIRST=s
	@$(ENVIRONMENT) .venv test
	@.venv/bin/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

bench:  ## CPU against a typical collector and the physical limit: a table and a JSON file (ARGS=--short: a minute)
	@$(ENVIRONMENT) .venv test
	@.venv/bin/python -m benchmarks $(ARGS)

coverage:  ## Which lines the tests reach
	@$(ENVIRONMENT) .venv test browser promql
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest -q tests
	@.venv/bin/coverage combine -q
	@.venv/bin/coverage report

lint:  ## ruff, mypy --strict, the layer rules, and every document that is written from a table
	@$(ENVIRONMENT) .venv lint
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/python -m collector.hosts.documents --check

lock:  ## Write requirements/*.lock again from setup.cfg, with the newest of everything
	@$(ENVIRONMENT) --lock
	@.venv/bin/python packaging/splunk/vendored.py --lock

install:  ## PREFIX=/opt/audit-s3 [DESTDIR=]: the program in an environment of its own, units, sample configuration
	@$(PYTHON) packaging/install.py install --prefix "$(PREFIX)" --destdir "$(DESTDIR)"

uninstall:  ## Remove what install put there; configuration and checkpoints stay
	@$(PYTHON) packaging/install.py uninstall --prefix "$(PREFIX)" --destdir "$(DESTDIR)"

clean:  ## Remove what the other targets made
	@rm -rf .venv .venv-* build dist *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
