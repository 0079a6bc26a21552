# Every target works from a bare clone: it makes .venv and installs what it needs first.
# PYTHON chooses the interpreter that .venv is made with; otherwise the first supported one is taken.
# WORKERS is the number of processes that share the tests out; "auto" is one for every core.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach p,python3 python3.12 python3.11 python3.13,$(shell $(p) -c '$(SUPPORTED)' 2>/dev/null && echo $(p))) python3)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt

.NOTPARALLEL:
.PHONY: demo test lint types docs bench clean

demo: $(VENV)/.core
	$(BIN)/jaxrl-evolve train ppo --env CartPole-v1 --steps 250_000 --seeds 8 --out runs/cartpole --overwrite
	$(BIN)/jaxrl-evolve report runs/cartpole --out runs/report

test: lint types
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

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
	rm -rf $(VENV) .jax_cache .pytest_cache .ruff_cache build dist site

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
