# `make demo` and `make test` need only Python (with venv), make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
HISTORY := $(wildcard $(shell git rev-parse --git-path logs/HEAD 2>/dev/null))

.PHONY: bench check clean demo demo-full format help hooks install lint lock services stack test test-clusters

help:  ## what can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

install: $(VENV)/.installed $(VENV)/.version  ## create .venv and install the package into it

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[dev]'
	@touch $@

# The version counts commits: it is renewed after each, without a download.
$(VENV)/.version: $(VENV)/.installed $(HISTORY)
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## simulate a small archive of 2014 and process it; run it again: nothing is done twice
	$(BIN)/python -m covis_dask.simulate.demo

demo-full: install  ## the same with every mode of both eras
	$(BIN)/python -m covis_dask.simulate.demo --full

services: install  ## obtain the real servers that tests and `make stack` use (MinIO by go install, once)
	$(BIN)/python -m cluster.programs

stack: install  ## the services of a real installation as plain processes, with a demo archive loaded
	$(BIN)/python -m cluster.local_stack --demo

test: install  ## every test that can run on this machine
	@ended=0; \
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not clusters" || ended=$$?; \
	$(BIN)/python -m pytest -m clusters tests/services || ended=$$?; \
	exit $$ended

test-clusters: install  ## of these only containers, SLURM, SSH and TLS: minutes, root, some GB of cache
	$(BIN)/python -m pytest -m clusters tests/services

lock: install  ## write the versions that the images hold (cluster/*.lock) from pyproject.toml
	$(BIN)/python -m cluster.lock

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint  ## lint, the unit tests and the frozen faces: under three minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/faces

bench: install  ## measure runs of real size against the limits of this machine: minutes, and GB of cache
	$(BIN)/python -m tests.benchmarks

format: install  ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: install  ## have git run style, types and hygiene (.pre-commit-config.yaml) before each commit
	$(BIN)/pre-commit install

clean:  ## remove the environment and the demo's data
	rm -rf $(VENV) covis-data
