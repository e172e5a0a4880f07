# Everything happens in a virtual environment inside the checkout. Pinned versions: constraints.txt.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo serve-demo compare test lint scatter

demo: $(VENV)/.installed
	$(VENV)/bin/anchorrec demo

# The page in a browser, on the films; DATA=planted for the generated shop with its pictures, IMAGES=FOLDER for posters.
DATA ?= movielens
serve-demo: $(VENV)/.installed-serve
	$(VENV)/bin/anchorrec serve-demo --data $(DATA) $(if $(IMAGES),--images $(IMAGES))

# All models on MovieLens, three seeds; under half an hour on two cores. Goes on where it was stopped.
compare: $(VENV)/.installed
	$(VENV)/bin/python benchmarks/compare.py movielens --seeds 0,1,2 --jobs 2

# Two processes of one thread each. One test alone, or a debugger: .venv/bin/python -m pytest PATH
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# torch-scatter has no wheels on PyPI; its build takes some minutes and needs a C++ compiler. Ninja uses every core.
scatter: $(VENV)/.installed
	$(PIP) setuptools wheel ninja
	PATH="$(abspath $(VENV))/bin:$$PATH" $(PIP) --no-build-isolation torch-scatter

$(VENV)/.installed: setup.cfg constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-serve: $(VENV)/.installed
	$(PIP) --editable '.[serve]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	touch $@
