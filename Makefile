# Every target works from a bare checkout: the first one builds the virtual environment from the lock file.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

# What the checks of spelling and wording read.
PROSE  := README.md CHANGELOG.md docs docker-compose.yml model_repository monitoring tools/router_tools/simulator/README.md

.PHONY: install demo serve test lint unit integration mutants bench lock clean

install: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)
	$(BIN)/model-router demo

# Everything that must hold: style, types, the library without a server, then the real server.
test: lint unit integration

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell $(PROSE)
	$(BIN)/python -m tests.prose $(PROSE)

unit: $(READY)
	$(BIN)/pytest tests/unit tests/contract

integration: $(READY)
	$(BIN)/pytest tests/integration

# Changes the core in thousands of small ways, and prints those that no test notices; OF is a folder or file of it.
OF := router_backend/core

mutants: $(READY)
	$(BIN)/python -m tests.mutants $(OF)

# Prints the tables that the docs quote; PERF_ANALYZER is the path of Triton's own analyzer, where there is one.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks.serving_overhead $(if $(PERF_ANALYZER),--analyzer $(PERF_ANALYZER))
	$(BIN)/python -m tests.benchmarks.metrics_cost $(if $(PERF_ANALYZER),--analyzer $(PERF_ANALYZER))
	$(BIN)/python -m tests.benchmarks.serving_isolation
	$(BIN)/python -m tests.benchmarks.emulated_devices
	$(BIN)/python -m tests.benchmarks.emulated_devices --events
	$(BIN)/model-router simulate --suite study || true  # exit status 2: a target is missed
	$(BIN)/model-router simulate --suite goals || true
	$(BIN)/pytest tests/benchmarks/test_decision.py --benchmark-columns=median,mean,ops,rounds

serve: $(READY)
	$(BIN)/model-router demo-repository
	$(BIN)/model-router serve

lock:
	$(PYTHON) -m pip install --quiet uv
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --quiet --upgrade --output-file requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build mutants
