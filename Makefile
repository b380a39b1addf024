# Two commands do everything: `make demo` (the main job, offline) and `make test` (tests, lint, types).
PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.installed
PINNED := statistics_stay or sound_training_set or keeps_shapes_labels or learns_an_easy_set or fixed and disjoint \
	or breast_cancer or wine or roman_numerals or beers or real_data
# Two test processes of one thread each: threads that wait for each other's cores cost more than the tests.
export OMP_NUM_THREADS = 1
TWO := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test fast costs lint types docs readme pins records site statistics clean

demo: $(STAMP)
	$(VENV)/bin/harness -m experiments=quickstart store=demo

test: lint types docs $(STAMP)
	$(VENV)/bin/python -m pytest $(TWO) -q --durations=10

fast: $(STAMP)
	$(VENV)/bin/python -m pytest -q --durations=10 -m "not slow"

# Runs everything and writes what each test costs, from which the fast ones are chosen.
costs: $(STAMP)
	HARNESS_WRITE_COSTS=1 $(VENV)/bin/python -m pytest $(TWO) -q --durations=10

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

types: $(STAMP)
	$(VENV)/bin/mypy

# Builds the documentation site from docs/ into build/docs, offline; a warning is an error.
docs: $(STAMP)
	$(VENV)/bin/sphinx-build -W --keep-going -q -b html docs build/docs

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# Writes the numbers of README and documentation from the committed records; a test compares them.
readme: $(STAMP)
	$(VENV)/bin/python tests/readme.py

# Builds every page, figure and table from the committed records, as site/ and site.tar.gz for a release.
site: $(STAMP)
	$(VENV)/bin/python tests/pages_site.py

# Writes what options compute on small sets, after the protocol's version was raised; tests compare it.
pins: $(STAMP)
	rm -f tests/pinned.json
	HARNESS_WRITE_PINS=1 $(VENV)/bin/python -m pytest -q -p no:xdist tests/tasks tests/strategies tests/learners \
		-k "$(PINNED)"

# Runs the simulations that docs/statistics.md tells of; tests compare them. Ten minutes.
statistics: $(STAMP)
	$(VENV)/bin/python tests/statistics_docs.py

# Runs the committed studies again, from a clean commit; the folders of two of them are DATA/roman_numerals, DATA/youtube.
records: $(STAMP)
	test -d "$(DATA)/youtube" || { echo "say where the data lie: make records DATA=FOLDER"; exit 2; }
	test -z "$$(git status --porcelain)" || { echo "commit first: a record names the commit that made it"; exit 2; }
	for study in quickstart variance; do $(VENV)/bin/harness -m experiments=$$study track=none rerun=true || exit; done
	for study in roman_numerals youtube; do \
		$(VENV)/bin/harness -m experiments=$$study task.path=$(DATA)/$$study track=none rerun=true || exit; done
	for study in quickstart variance roman_numerals youtube; do $(VENV)/bin/harness report $$study || exit; done
	$(VENV)/bin/harness claims run=no
	$(VENV)/bin/python tests/readme.py

clean:
	rm -rf $(VENV) site site.tar.gz build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
