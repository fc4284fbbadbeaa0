# Everything sets itself up: a virtual environment in .venv, made once and again when pyproject.toml changes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test check unit bench long clean

demo: $(VENV)/installed
	@$(BIN)/replank demo $(ARGS)

test: check
	$(BIN)/pytest $(ARGS)

# Seconds: style, types, the direction of imports, and the tests that need no server.
check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m unit

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.rebuild $(ARGS)

# The long forms: a million rows of the real schema, many interleavings, larger faults.
long: $(VENV)/installed
	REPLANK_LONG=1 REPLANK_REAL_ROWS=1000000 REPLANK_EXAMPLES=500 \
	$(BIN)/pytest --timeout=3600 -m "real_schema or protocol or faults" $(ARGS)

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[embedded,dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
