# Every target works from a bare checkout: the first one builds the virtual environment from the lock file.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(abspath $(VENV))/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCKED := $(VENV)/.locked
READY  := $(VENV)/.installed
NATIVE := $(wildcard router_backend/native/*.c router_backend/native/*.h) tools/native_library.py tools/hatch_build.py
# Two at a time, as integration tests often wait for a server; those of one file share it and stay together.
# Integration tests come first: the unit tests, which wait for nothing, then keep both processes busy to the end.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
TESTS  ?= tests/integration tests/package tests/unit tests/contract
# What `make interpreters` runs on the real server: requests, policies of other packages, ONNX models, the commands.
SHORT  := $(addprefix tests/integration/test_, \
          router_answers.py policy_from_outside.py onnx_executor.py serve.py demo.py) \
          tests/package tests/unit tests/contract

# The pinned C compiler out of PyPI, which compiles for any machine and glibc; $(call ZIG_CC,x86_64) is its command.
ZIG     := build/zig/.installed
ZIG_CC   = $(abspath build/zig)/bin/python -m ziglang cc -target $(1)-linux-gnu.2.35
MACHINE := $(shell uname -m)

# What the checks of spelling and wording read.
PROSE  := README.md CHANGELOG.md CONTRIBUTING.md docs docker-compose.yml model_repository monitoring router_backend tools

.NOTPARALLEL:
.PHONY: install native demo serve test wheel wheels test-wheel interpreters lint unit integration sanitize endurance soak mutants bench lock clean

# For development: what is edited is what runs. The native library is compiled if there is a C compiler.
install: $(READY)

$(LOCKED): requirements.lock
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --requirement requirements.lock
	touch $@

$(READY): $(LOCKED) pyproject.toml $(NATIVE)
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(ZIG): compiler.lock
	$(PYTHON) -m venv --clear build/zig
	build/zig/bin/python -m pip install --quiet --disable-pip-version-check --requirement compiler.lock
	touch $@

# The library beside model.py, for a folder that is copied or mounted into a container: MACHINE is that of the container.
# The system's compiler may need a newer glibc than the container has.
native:
	$(PYTHON) tools/native_library.py

ifeq ($(origin CC),default)
native: $(ZIG)
native: export CC := $(call ZIG_CC,$(MACHINE))
endif

demo: $(READY)
	$(BIN)/model-router demo

serve: $(READY)
	$(BIN)/model-router demo-repository
	$(BIN)/model-router serve

# Everything that must hold: style, types, and the wheel in an environment of its own.
test:
	$(MAKE) VENV=build/venv lint test-wheel

wheel: $(LOCKED)
	rm -rf dist
	$(BIN)/hatchling build --target wheel

# The pinned compiler is a download of 100 MB, so a wheel, whose tag has the glibc that it needs, is compiled with the
# system's if there is one.
ifeq ($(shell command -v $(firstword $(CC))),)
wheel: $(ZIG)
wheel: export CC := $(call ZIG_CC,$(MACHINE))
endif

# One wheel for each machine, for a release.
wheels: $(LOCKED) $(ZIG)
	rm -rf dist
	CC="$(call ZIG_CC,x86_64)" $(BIN)/hatchling build --target wheel
	CC="$(call ZIG_CC,aarch64)" $(BIN)/hatchling build --target wheel
	$(BIN)/pytest tests/package/test_native_library.py

# From an empty folder, since Python and Triton's stubs import what is in the current one.
test-wheel: wheel
	$(PIP) install --no-deps --force-reinstall dist/*.whl
	mkdir -p build/empty
	cd build/empty && $(PYTEST) $(addprefix $(CURDIR)/,$(TESTS))

# The wheel under each Python that it is for and that is at hand.
interpreters: python-3.10 python-3.11 python-3.12

python-%:
	@if python=$$(.ci/find-python $*); then \
	    $(MAKE) PYTHON=$$python VENV=build/python$* TESTS="$(SHORT)" test-wheel; \
	else \
	    echo "Python $*: skipped, not at hand"; \
	fi

lint: $(LOCKED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell $(PROSE)
	$(BIN)/python -m tests.prose $(PROSE)

unit: $(READY)
	$(PYTEST) tests/unit tests/contract

integration: $(READY)
	$(PYTEST) tests/integration

# Integration tests on the native host, its library compiled with address, undefined and thread sanitizers.
sanitize: $(READY)
	$(BIN)/python -m tests.sanitize

# Loads a router 10,000 times and lets a variant hang, on the native host: fails if the server grows.
endurance: $(READY)
	$(BIN)/python -m tests.endurance

# Faults in turn under load, for 20 minutes on each host: fails if the server grows or a request is lost.
soak: $(READY)
	$(BIN)/python -m tests.soak

# Changes the core in thousands of small ways, and prints those that no test notices; OF are folders or files of it.
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
	$(BIN)/python -m tests.benchmarks.guardrail_power
	$(BIN)/model-router simulate --suite study || true  # exit status 2: a target is missed
	$(BIN)/model-router simulate --suite goals || true
	$(BIN)/pytest tests/benchmarks/test_decision.py --benchmark-columns=median,mean,ops,rounds

# One lock file for all interpreters, and one for the compiler; uv has an environment of its own, as nothing else needs it.
lock:
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet --disable-pip-version-check uv
	UV_PYTHON_DOWNLOADS=never build/uv/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-annotate --quiet --upgrade --output-file requirements.lock
	UV_PYTHON_DOWNLOADS=never build/uv/bin/uv pip compile --no-config --group compiler --universal --python-version 3.10 --generate-hashes --no-annotate --quiet --upgrade --output-file compiler.lock

clean:
	rm -rf $(VENV) build dist mutants .pytest_cache .mypy_cache .ruff_cache router_backend/libtriton_router_backend.so
