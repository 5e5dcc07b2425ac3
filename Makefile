# Everything a newcomer or a contributor runs. `make help` lists it.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
DEMO := train -m name=demo optimizer.lr=1e-3,5e-4 data.batch_size=16,32 trainer.max_epochs=2,4

.DEFAULT_GOAL := help
.PHONY: help setup demo train test test-slow lint type bench parity notebooks clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

# The stamp makes `setup` a no-op until the pinned versions or the package's metadata change.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("afinar needs Python 3.11 or newer: make setup PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

setup: .venv/.installed ## create .venv with every pinned version

demo: setup ## fine-tune the tiny model 2 x 2 x 2 ways on the demo reviews, and compare
	$(BIN)/afinar $(DEMO)

train: setup ## one run: make train ARGS="data=csv data.train=my.csv"
	$(BIN)/afinar train $(ARGS)

test: setup ## the quick tests (under 6 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: setup ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

lint: setup ## ruff, and the floors of the package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: setup ## mypy, strict
	$(BIN)/mypy

bench: setup ## speed against transformers' Trainer and a bare loop: make bench ARGS="--model FOLDER --train train.csv" WORDS="--train train.conll" PAIRS="--train pairs.csv" QUESTIONS="--file squad.json" FROZEN="--train train.csv" SWEEP="--jobs 16"
	$(BIN)/python benchmarks/training.py $(ARGS)
	$(BIN)/python benchmarks/labelling.py $(WORDS)
	$(BIN)/python benchmarks/pairs.py $(PAIRS)
	$(BIN)/python benchmarks/questions.py $(QUESTIONS)
	$(BIN)/python benchmarks/freezing.py $(FROZEN)
	$(BIN)/python benchmarks/augmentation.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/launchers.py $(SWEEP)

parity: setup ## quality beside transformers' Trainer: make parity ARGS="--model FOLDER --train train.conll --validation dev.conll" PAIRS="... [--numbers]"
	$(if $(ARGS)$(PAIRS),,@echo 'name the files: make parity ARGS="..." or PAIRS="..."' && exit 2)
	$(if $(ARGS),$(BIN)/python benchmarks/parity.py $(ARGS))
	$(if $(PAIRS),$(BIN)/python benchmarks/parity_pairs.py $(PAIRS))

notebooks: setup ## run every notebook on small settings
	$(BIN)/python -m pytest -m "" -k small_settings tests/test_notebooks.py

clean: ## remove what was built; runs in outputs/ stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
