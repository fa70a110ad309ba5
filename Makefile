# Every target works on a bare checkout: python3 and make are all that has to be there.
# The environment is built once in .venv; it is built again when pyproject.toml changes.

PYTHON ?= python3
TEST_WORKERS ?= 2

bin := .venv/bin

.PHONY: demo test lint types format clean

demo: .venv/installed  ## make a data set, train, infer and evaluate; no download of data or weights
	$(bin)/qcen demo

test: .venv/installed-dev  ## one thread each: the tests are small, and several run side by side
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -q -n $(TEST_WORKERS) --dist loadfile

lint: .venv/installed-dev
	$(bin)/ruff check .
	$(bin)/ruff format --check .

types: .venv/installed-dev
	$(bin)/mypy

format: .venv/installed-dev
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

clean:  ## removes the environment and the tools' caches; data/ and runs/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

.venv/bin/pip:
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "hint: 'apt install python3-venv', or 'make PYTHON=...'" >&2; exit 1; }

.venv/installed: pyproject.toml | .venv/bin/pip
	$(bin)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/pip
	$(bin)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch .venv/installed $@
