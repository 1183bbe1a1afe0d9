# `make demo` and `make test` are all that a fresh machine needs; both make the virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto

.PHONY: demo test soak slow fuzz check docs dist bench results clean

demo: $(VENV)/installed
	$(BIN)/reslab demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n $(JOBS)

soak: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m soak

slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow

fuzz: $(VENV)/installed-dev
	$(BIN)/python -m pytest -s -m fuzz

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -j auto docs docs/_build

dist: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m dist

bench: $(VENV)/installed
	$(BIN)/python benchmarks/speed.py

results: $(VENV)/installed
	$(BIN)/python benchmarks/results.py
	$(BIN)/python benchmarks/model_cards.py

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/_build docs/generated build dist
