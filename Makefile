# What a developer does, in one word each; `make help` lists the words.
#
# Everything runs in a virtual environment, .venv, which is made when it is first needed. A file in it stands for each
# set of packages that was installed completely: without it, or when pyproject.toml is newer, pip runs (again).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The interpreter that the virtual environment is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
# Another interpreter that the quick tests are run with too, in a virtual environment named after its version;
# .ci/run looks for one.
OTHER_PYTHON ?=
# What the experiment of `make train` is told further, such as ARGS="--seed 1 --total-steps 2000".
ARGS ?=
# What pytest is told further, such as PYTEST_ARGS="-k resume".
PYTEST_ARGS ?=

TEST := JAX_PLATFORMS=cpu $(RUN) -m pytest
CODE := triax experiments benchmarks tests docs

.PHONY: help train reproduce-mtil test test-quick test-other test-slow lint format docs benchmark clean

help: ## Show this list.
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

train: $(VENV)/installed ## Train SAC to swing up a pendulum. ARGS="--seed 1" changes any setting.
	$(RUN) experiments/pendulum_sac.py train $(ARGS)

reproduce-mtil: $(VENV)/installed-dev ## Multi-task imitation from start to plot, within 45 minutes on two cores.
	JAX_PLATFORMS=cpu $(RUN) experiments/multitask_imitation/pipeline.py small $(ARGS) \
		--output results/multitask_imitation_small.jsonl

test: lint docs test-quick test-other test-slow ## Check everything: style, types, documentation, all tests.

test-quick: $(VENV)/installed-dev ## Run the tests that take a few seconds each.
	$(TEST) -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-other: ## Run the quick tests with another interpreter, if OTHER_PYTHON names one.
ifneq ($(OTHER_PYTHON),)
	version=$$($(OTHER_PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	$(MAKE) VENV=.venv-$$version PYTHON=$(OTHER_PYTHON) test-quick
endif

test-slow: $(VENV)/installed-dev ## Run the tests that train for minutes.
	$(TEST) -m slow --numprocesses 2 $(PYTEST_ARGS)

lint: $(VENV)/installed-dev ## Check format, style and types.
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy $(CODE)

format: $(VENV)/installed-dev ## Mend format and style.
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

docs: $(VENV)/installed-dev ## Build the documentation into docs/_build/html; warnings are errors.
	JAX_PLATFORMS=cpu $(RUN) -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html

benchmark: $(VENV)/installed-dev ## Train an experiment over seeds. ARGS="pendulum_sac --seeds 5 --jobs 2".
	$(RUN) benchmarks/learning.py $(or $(ARGS),pendulum_sac --seeds 3)

clean: ## Remove what the other targets made; runs and virtual environments stay.
	rm -rf docs/_build docs/reference .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist triax.egg-info
	find triax tests experiments benchmarks docs -type d -name __pycache__ -prune -exec rm -rf {} +
	@echo "Runs (runs/) and virtual environments ($(VENV), $(VENV)-*) are kept; remove them by hand."

# ---- installation

$(VENV)/installed: pyproject.toml | $(VENV)/made
	$(call install,.)
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/made
	$(call install,.[dev$(comma)mujoco$(comma)dm-control$(comma)ray$(comma)slurm$(comma)parquet])
	touch $(VENV)/installed $@

# A virtual environment that works is taken as it is; a half-made or broken one is made anew.
$(VENV)/made:
	@if ! $(RUN) -m pip --version >/dev/null 2>&1; then $(make_venv); fi
	@touch $@

install = $(RUN) -m pip install --quiet --disable-pip-version-check --editable "$(1)"
comma := ,

define make_venv
version=$$($(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) \
	|| { echo "error: there is no '$(PYTHON)', or it does not run. Name another interpreter:" \
		"make PYTHON=/path/to/python3.11 …" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "error: Triax needs Python 3.11 or later, and '$(PYTHON)' is $$version. Name another:" \
		"make PYTHON=python3.11 …" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo "error: '$(PYTHON)' has no module venv. On Debian and Ubuntu it is in a package of its own:" \
		"apt install python3-venv" >&2; exit 1; }; \
echo "making $(VENV) with Python $$version"; \
$(PYTHON) -m venv --clear $(VENV)
endef
