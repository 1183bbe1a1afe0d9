# `make demo` and `make test` are all that a fresh machine needs; both make the virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto
MINUTES ?= 13

.PHONY: demo test test-gpu soak slow fuzz check docs dist bench bench-gpu train-gpu results clean

demo: $(VENV)/installed
	$(BIN)/reslab demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n $(JOBS)

# without a plugin of some GPU images, whose fixtures have the names of ours
test-gpu: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m gpu -p no:benchmark -W default -rs tests/gpu

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

bench-gpu: $(VENV)/installed
	$(BIN)/python benchmarks/gpu.py bench-gpu.json

# the papers' scale on a GPU, for a given time; then make results
train-gpu: $(VENV)/installed
	$(BIN)/python benchmarks/train_gpu.py $(MINUTES)

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
