# Everything sets itself up: a virtual environment in .venv, made once and again when pyproject.toml changes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Test processes: a third of their time is spent on waiting for what they have started, so three keep two cores busy.
TESTERS ?= 3
# A file goes to one process as a whole, so what it prepares once is prepared once; and processes go through the folders
# one after the other.
SHARED := -n $(TESTERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test check style types unit bench bench-fused bench-audit bench-eta bench-status bench-page bench-statements long attacks clients versions clean

demo: $(VENV)/installed
	@$(BIN)/replank demo $(ARGS)

# Everything but what is slow on the newest PostgreSQL; what branches on the server's version on the oldest as well.
test: $(VENV)/installed
	@$(MAKE) --no-print-directory -j 2 --output-sync=target check
	$(BIN)/pytest $(SHARED) -m "not unit and not slow and not toolchains" $(ARGS)
	REPLANK_POSTGRES_BIN=$$($(BIN)/python -m demo.embedded.wheels 15) $(BIN)/pytest $(SHARED) -m core $(ARGS)

# Seconds: style, types, the direction of imports, and the tests that need no server.
check: style types unit

style: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/installed
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

unit: $(VENV)/installed
	$(BIN)/pytest -q -m "unit and not slow"

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.rebuild $(ARGS)

bench-fused: $(VENV)/installed
	$(BIN)/python -m benchmarks.rebuild.fused $(ARGS)

bench-page: $(VENV)/installed
	$(BIN)/python -m benchmarks.looking.page $(ARGS)

bench-audit: $(VENV)/installed
	$(BIN)/python -m benchmarks.audit $(ARGS)

# How honest the time left is, by recordings of real runs; seconds, and no server.
bench-eta: $(VENV)/installed
	$(BIN)/python -m benchmarks.estimate.replay $(ARGS)

# How long `status` takes with a hundred thousand jobs in the ledger.
bench-status: $(VENV)/installed
	$(BIN)/python -m benchmarks.looking.status $(ARGS)

# How long `check` reads ten thousand statements of pg_stat_statements; seconds, and no server.
bench-statements: $(VENV)/installed
	$(BIN)/python -m benchmarks.statements $(ARGS)

# The long forms: a million rows of the real schema, many interleavings, larger faults.
long: $(VENV)/installed
	REPLANK_LONG=1 REPLANK_REAL_ROWS=1000000 REPLANK_EXAMPLES=500 \
	$(BIN)/pytest --timeout=3600 -m "real_schema or protocol or faults or slow" $(ARGS)

# Everything that was ever done against a run on purpose; docs/reliability.md is written from what it finds.
attacks: $(VENV)/installed
	$(BIN)/pytest $(SHARED) -m attack --reliability docs/reliability.md $(ARGS)

# Clients of every language through a run and a rollback: the table of docs/clients.md is written from what they meet.
clients: $(VENV)/installed
	$(BIN)/pytest tests/clients --clients $(ARGS)

# The protocol on every other PostgreSQL that is supported. The wheels of 15 and 16 have no contrib modules.
versions: $(VENV)/installed
	for version in 15 16 17; do \
	  case $$version in 17) wanted="protocol or catalogue";; *) wanted="(protocol or catalogue) and not contrib";; esac; \
	  REPLANK_POSTGRES_BIN=$$($(BIN)/python -m demo.embedded.wheels $$version) \
	  $(BIN)/pytest $(SHARED) -m "$$wanted" $(ARGS) || exit 1; \
	done

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[embedded,dev]'
	touch $@

clean:
	rm -rf $(VENV) .servers .mypy_cache .ruff_cache .pytest_cache .hypothesis
