# `make` explains itself. The first `make demo` or `make test` sets up .venv by itself.
SHELL := /bin/bash
PYTHON ?= python3.11
ifeq ($(shell command -v $(PYTHON) 2>/dev/null),)
PYTHON := python3
endif
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test dashboards installation deb image regressions acceptance detection lint format rules chart licences servers servers-installation systemd requirements bench fleet clean

help:  ## show what can be done
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

demo: $(VENV)/.demo  ## run the main job on an embedded lab: no root, no network, no account
	@$(BIN)/healthctl demo $(ARGS)

test: servers $(VENV)/.test systemd  ## run the tests; as root on Debian this installs the real servers first
	$(BIN)/pytest $(ARGS)

installation: servers-installation $(VENV)/.installation systemd  ## install each package for real: .deb under systemd, image, chart, dashboards and rules in Prometheus; root
	$(BIN)/pytest tests/installation $(ARGS)

systemd: $(VENV)/.test  # systemd-python must be compiled: without libsystemd its tests skip and say so
	@if pkg-config --exists libsystemd 2>/dev/null && ! $(BIN)/python -c 'import systemd' 2>/dev/null; then \
	  $(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/systemd.txt \
	    || echo "systemd-python could not be compiled (gcc, python3-dev?): its tests skip"; \
	fi

lint: $(VENV)/.dev  ## ruff, mypy strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## let ruff write the code anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: servers $(VENV)/.test  ## the published benchmark: whole processes beside other probers, then parts from inside; an hour
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python bench/probe_cost.py
	$(BIN)/python bench/log_parser.py
	$(BIN)/python bench/diagnosis.py
	$(BIN)/python bench/exposition.py
	$(BIN)/python bench/reload.py

regressions: servers $(VENV)/.test  ## the benchmark in half a minute: fails when a probe has become twice as dear
	$(BIN)/python -m bench --short || $(BIN)/python -m bench --short  # other work may fall on one prober alone: once more

fleet: servers $(VENV)/.test  ## measure what 1,000 Connectors cost a Prometheus: six minutes
	$(BIN)/python bench/fleet.py

detection: servers $(VENV)/.test  ## measure how soon planted faults are seen: ten minutes, root
	$(BIN)/python -m bench.detection

acceptance: servers $(VENV)/.test  ## watch planted faults until they page, once: half an hour, root, real servers
	$(BIN)/python -m tests.acceptance $(ARGS)

rules: $(VENV)/.test  ## write the Prometheus rules anew from the alerts' data
	$(BIN)/python -m daemon.explain.prometheus_rules deploy/prometheus/connector-health.rules.yml

dashboards: $(VENV)/.installation  ## write the Grafana dashboards anew from their code (deploy/grafana)
	$(BIN)/python -m deploy.grafana

chart: $(VENV)/.test  ## copy rules and dashboards into the Helm chart, and its schema of `config` from the daemon's types
	$(BIN)/python helm/build_chart.py

licences: $(VENV)/.test systemd  ## write the list of licences anew, after `make requirements`
	$(BIN)/python -m deploy.sbom.licences docs/licences.md

image:  ## build the container image
	docker build -f deploy/docker/Dockerfile -t connector-health --build-arg REVISION=$$(git rev-parse HEAD) .

deb:  ## build the Debian package for the release of this host, into dist/
	@sh deploy/debian/build.sh

servers:  ## install the real servers that the tests use (root on Debian; elsewhere nothing)
	@sh tests/support/install-servers.sh

servers-installation:
	@sh tests/support/install-servers.sh installation

requirements: $(VENV)/.dev  ## pin every dependency with its hashes, without addresses
	@for set in "" demo test installation dev; do \
	  $(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --no-annotate --build-deps-for editable \
	    $${set:+--extra $$set} --output-file requirements/$${set:-run}.txt pyproject.toml; \
	done
	@echo systemd-python | $(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file requirements/systemd.txt -
	@echo setuptools | $(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file requirements/deb.txt -
	@echo cyclonedx-bom | $(BIN)/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file requirements/sbom.txt -

clean:  ## remove what was made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.%: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r $<
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
