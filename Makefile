# Every target works from a bare clone: it makes .venv and installs what it needs first.
# PYTHON chooses the interpreter that .venv is made with; otherwise the first supported one is taken.
# NEXT is the interpreter of `make test-next`, the newest that is supported.
# WORKERS is the number of processes that share the tests out; "auto" is one for every core.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach p,python3 python3.12 python3.11 python3.13,$(shell $(p) -c '$(SUPPORTED)' 2>/dev/null && echo $(p))) python3)
NEXT ?= python3.13
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Annotations are checked at run time in one cell of CI's matrix, by TYPE_CHECKS=on: it takes a seventh of the time.
export TYPE_CHECKS ?= off
# Python compiles what it imports, a small part of what is installed.
PIP := $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --no-input -c constraints.txt

.NOTPARALLEL:
.PHONY: demo test test-all test-next test-flags lint types docs bench clean

demo: $(VENV)/.core
	$(BIN)/jaxrl-evolve train ppo --env CartPole-v1 --steps 250_000 --seeds 8 --out runs/cartpole --overwrite
	$(BIN)/jaxrl-evolve report runs/cartpole --out runs/report

# Short tests and the core of the long ones, which together say in minutes whether a change is sound.
test: TESTS = --quick
test: test-all

# Every test but those of minutes. Types are checked beside the first: by themselves they leave all cores but one idle.
test-all: lint
	@$(MAKE) --no-print-directory types & types=$$!; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS) --durations 30 --durations-min 5; \
	tests=$$?; wait $$types && exit $$tests

# Every test beside .venv, with the versions locked for Python 3.13: constraints.txt has other ones of jax for 3.11.
test-next:
	@$(NEXT) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || \
		{ echo 'Python 3.13 is needed, and $(NEXT) is not one: make test-next NEXT=path/to/python3.13' >&2; exit 1; }
	$(MAKE) test-all VENV=.venv-next PYTHON=$(NEXT)

# The tests with the XLA flags of users, where they compile for speed: far longer. See tests/xla.py.
test-flags: $(VENV)/.dev
	TEST_XLA_FLAGS=users $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --timeout 3600

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright --project pyproject.toml --pythonpath $(BIN)/python

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/throughput.py

clean:
	rm -rf $(VENV) .venv-next .jax_cache .pytest_cache .ruff_cache build dist site

$(BIN)/python:
	@$(PYTHON) -c '$(SUPPORTED)' || \
		{ echo 'Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras, renewed when the dependencies change.
$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[$*]'
	@touch $@
