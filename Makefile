# Two commands do all the set-up: `make demo` and `make test`. Both need only git, python3 with venv, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Many tests wait for another process, so that one more than cores run at once. With two for each core, tests that hold
# times (one poll an interval, a stop within seconds) fail now and then, because nobody gets the processor in time.
PROCESSES ?= $(shell echo $$((1 + $$(getconf _NPROCESSORS_ONLN))))
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test check nightly proof bench emulator format clean

demo: $(VENV)/demo.installed  ## The main job on SQLite: a shop, a failing server, a killed worker, a table
	$(BIN)/python -m examples.shop

test: $(VENV)/dev.installed  ## The tests, on all cores; services that are not there are skipped, see HOGBOX_REQUIRE
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal $(ARGS)

check: $(VENV)/dev.installed  ## Format, lint, types by two checkers, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports

nightly: $(VENV)/dev.installed  ## The tests that take long and rarely fail; the marker `nightly` says why
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m nightly $(ARGS)

proof: $(VENV)/dev.installed  ## Every fault on every database: nothing lost, out of order, restamped; some minutes
	$(BIN)/python -m proof $(ARGS)

bench: $(VENV)/bench.installed  ## Side by side with the official client
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.flags.speed
	$(BIN)/python -m benchmarks.flags.footprint

emulator: $(VENV)/demo.installed  ## A local PostHog on port 8010
	$(BIN)/hogbox emulator

format: $(VENV)/dev.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/%.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@
