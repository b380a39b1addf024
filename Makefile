# Two commands do everything: `make demo` (the main job, offline) and `make test` (tests, lint, types).
PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.installed
# Two test processes of one thread each: threads that wait for each other's cores cost more than the tests.
export OMP_NUM_THREADS = 1

.PHONY: demo test fast lint types readme site statistics clean

demo: $(STAMP)
	$(VENV)/bin/harness -m experiments=quickstart store=demo

test: lint types $(STAMP)
	$(VENV)/bin/python -m pytest -n 2 -q

fast: $(STAMP)
	$(VENV)/bin/python -m pytest -n 2 -q -m "not slow"

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

types: $(STAMP)
	$(VENV)/bin/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# Writes the README's numbers from the committed records; a test compares them.
readme: $(STAMP)
	$(VENV)/bin/python tests/readme.py

# Builds every page, figure and table from the committed records, as site/ and site.tar.gz for a release.
site: $(STAMP)
	$(VENV)/bin/python tests/pages_site.py

# Runs the simulations that docs/statistics.md tells of; tests compare them. Ten minutes.
statistics: $(STAMP)
	$(VENV)/bin/python tests/statistics_docs.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
