# `make results` and `make test` need Python 3.11 to 3.13 with venv, and make; everything else they set up in .venv.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
# Four, or as many as there are: more jobs than cores would only wait for one another.
CORES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 4); echo $$((n < 4 ? n : 4)))
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
SNAKEMAKE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m snakemake

# Packages of another environment must not leak into this one.
unexport PYTHONPATH PYTHONHOME

# The first of these that is Python 3.11 to 3.13 and can make a virtual environment is used.
CANDIDATES = $(PYTHON) $(if $(filter file,$(origin PYTHON)),python3.13 python3.12 python3.11)
CHECK := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Two stamps: a change of the lock makes the environment anew, a change of pyproject.toml installs the package again.
# The first one holds where and with what the environment was made: moved, or broken, it is made anew.
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
ASKED_VERSION = $(if $(filter-out file,$(origin PYTHON)),$(shell $(PYTHON) -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null))
MADE_VERSION = $(shell $(BIN)/python -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null)
ifneq ($(shell cat $(LOCKED) 2>/dev/null),$(CURDIR))
stale := yes
else ifeq ($(MADE_VERSION),)
stale := yes
else ifneq ($(ASKED_VERSION),)
ifneq ($(ASKED_VERSION),$(MADE_VERSION))
stale := yes
endif
endif

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: results
results: setup ## Run the default workflow: every dataset of config/config.yaml, then results/report.html
	@if $(BIN)/python -m bnn.jobs.processes .; then \
		echo "A run that was killed left this folder locked, and no Snakemake works here: it is unlocked."; \
		$(SNAKEMAKE) --unlock; \
	fi
	@$(SNAKEMAKE) --cores $(CORES)
	@echo "Done: open results/report.html"

.PHONY: profile
profile: setup ## Print where the time of the last run went, from the benchmark files in results/
	@$(BIN)/python -m bnn.jobs.run_profile results

# The quick tests need none of these; see [tool.pytest.ini_options] in pyproject.toml for what each one marks.
MARKED := slow or cluster or browser
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
# Coverage is judged by the quick tests alone, which run nearly every line: the others take twice as long with it.
MEASURED = $(if $(COVERAGE),--cov=bnn --cov-fail-under=95)

.PHONY: test
test: setup ## Run the quick tests (at most four minutes on two cores)
	$(PYTEST) -m "not ($(MARKED))" $(MEASURED)

.PHONY: test-rest
test-rest: setup ## Run the tests that `make test` leaves out: slow ones, a cluster, a browser
# Three at a time on two cores: some wait a good deal, for a batch system, a lock or a kill.
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "$(MARKED)"

.PHONY: test-all
test-all: COVERAGE := 1
test-all: test test-rest ## Run all tests, each once, with coverage

# Python 3.11 has ArviZ 0.23 in the lock, the others have 1: a second Python brings the other version.
OTHER := .venv-arviz
OTHER_PYTHONS = $(if $(filter 3 11,$(MADE_VERSION)),3.13 3.12,3.11)
.PHONY: test-arviz
test-arviz: setup $(OTHER)/.installed ## Test that ArviZ 0.23 and 1 say the same (needs Python 3.11 and a newer one)
	BNN_OTHER_ARVIZ=$(CURDIR)/$(OTHER)/bin/python $(BIN)/python -m pytest -q -n 0 tests/unit/test_arviz_versions.py

# Only what ArviZ needs, with the versions and the hashes of the lock.
$(OTHER)/.installed: $(LOCKED)
	@python=; for version in $(OTHER_PYTHONS); do \
		for candidate in "$$(PYENV_VERSION=$$(pyenv latest $$version 2>/dev/null) pyenv which python 2>/dev/null)" python$$version; do \
			if [ -n "$$candidate" ] && "$$candidate" -c '$(CHECK)' 2>/dev/null; then python=$$candidate; break 2; fi; \
		done; \
	done; \
	if [ -z "$$python" ]; then \
		echo "One of Python $(OTHER_PYTHONS) is needed beside that of $(VENV), for the other version of ArviZ." >&2; exit 1; \
	fi; \
	"$$python" -m venv --clear $(OTHER); \
	awk '/^[a-z]/ { keep = /^(arviz|h5netcdf|h5py|numpy|pandas|scipy|xarray|packaging|platformdirs|python-dateutil|typing-extensions|lazy-loader|matplotlib|contourpy|cycler|fonttools|kiwisolver|pillow|pyparsing|six|tzdata)/ } keep' \
		requirements.lock > $(OTHER)/requirements.lock; \
	$(OTHER)/bin/python -m pip --disable-pip-version-check install -qq --require-hashes --no-deps --only-binary :all: \
		--requirement $(OTHER)/requirements.lock; \
	$(OTHER)/bin/python -m pip --disable-pip-version-check check > /dev/null; \
	touch $@

.PHONY: calibrate
calibrate: setup ## Run every case of the tests of calibration, choices and memory (some ten minutes)
	BNN_CALIBRATE=1 $(PYTEST) tests/statistical/test_calibration.py tests/unit/test_estimators.py tests/unit/test_evaluation.py \
		tests/unit/test_selection.py tests/workflow/test_memory.py tests/workflow/test_workflow.py

.PHONY: kills
kills: setup ## Kill the workflow thirty times, each time at a random moment, and run it to the end
	BNN_KILLS=30 $(BIN)/python -m pytest --timeout=0 tests/workflow/test_reliability.py -k killed_at_random

.PHONY: fuzz
fuzz: setup ## Try a hundred times as many damaged tables and configs as the tests do, each time others
	BNN_FUZZ=100 $(PYTEST) --timeout=0 tests/fuzz

.PHONY: accept
accept: setup ## Test what the results of the default config show (run `make results` first)
	@test -s results/report.html || { echo "There are no results to test: run make results first." >&2; exit 1; }
	BNN_RESULTS=results $(BIN)/python -m pytest -q tests/acceptance

# Each peer has an environment of its own, with nothing else: bde, say, wants another BlackJAX than the newest.
PEERS := numpyro nutpie blackjax bde boosting
.PHONY: benchmark
benchmark: $(foreach name,bnn $(PEERS),.venv-benchmark/$(name)/.installed) ## Measure speed against other samplers on one core (needs a connection to a package index)
	set -e; for script in gradient iris scale; do .venv-benchmark/bnn/bin/python benchmarks/$$script.py; done

.venv-benchmark/bnn/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -qq --editable ".[benchmark]"
	@touch $@

.venv-benchmark/%/.installed: benchmarks/%.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -qq --requirement $<
	@touch $@

.PHONY: lint
lint: setup ## Check style, types and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

.PHONY: format
format: setup ## Put the code into the agreed format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# Sphinx is installed on top of what is there when the site is built, because nothing else needs it.
SITE := docs/_build
SPHINX := $(BIN)/python -m sphinx -W --keep-going -d $(SITE)/doctrees
.PHONY: docs
docs: setup $(VENV)/.docs ## Build the site in docs/_build/html; a warning or a broken link within it is an error
	@$(SPHINX) -q -b html docs $(SITE)/html
	@echo "Done: open $(SITE)/html/index.html"

.PHONY: links
links: setup $(VENV)/.docs ## Check the links of the site that lead to other sites (needs a network)
	$(SPHINX) -b linkcheck docs $(SITE)/links

.PHONY: gallery
gallery: setup ## Run the datasets of the gallery and take its pictures anew (needs Chromium; some minutes)
	$(BIN)/python docs/gallery/make.py

$(VENV)/.docs: docs/requirements.lock $(LOCKED)
	@$(PIP) --require-hashes --no-deps --only-binary :all: --requirement $<
	@touch $@

.PHONY: tiny
tiny: setup ## Run the whole workflow on config/tiny.yaml in a temporary folder (about a minute)
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	echo "The whole workflow on config/tiny.yaml, in $$folder"; \
	$(SNAKEMAKE) --cores 2 --snakefile "$(CURDIR)/Snakefile" --directory "$$folder" \
		--replace-workflow-config --configfile "$(CURDIR)/config/tiny.yaml"; \
	test -s "$$folder/results/report.html"; \
	echo "The tiny run wrote its report ($$(wc -c < "$$folder/results/report.html") bytes) and was removed."

.PHONY: setup
setup: $(INSTALLED) ## Make the virtual environment .venv from requirements.lock
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "Installed into $(VENV). Next: make results",:)

# One package (connection-pool, which Snakemake needs) is published as source only. It is built with the locked
# setuptools, not with whatever is newest, so every line of code that is installed has a hash in the lock.
$(LOCKED): requirements.lock $(if $(stale),FORCE)
	@if [ "$(words $(CURDIR))" -gt 1 ]; then \
		echo "Snakemake cannot run where a path contains a space: move this folder ($(CURDIR)) and try again." >&2; \
		exit 1; \
	fi
	@python=; for candidate in $(CANDIDATES); do \
		if "$$candidate" -c '$(CHECK)' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11, 3.12 or 3.13 with venv is needed; tried: $(strip $(CANDIDATES)) ($$($(PYTHON) --version 2>&1 | tail -n 1))." >&2; \
		echo "Install it (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$python" --version): this happens once and takes a minute or two."; \
	rm -f $(LOCKED) $(INSTALLED); \
	"$$python" -m venv --clear $(VENV); \
	awk '/^[a-z]/ { keep = /^(flit-core|setuptools)==/ } keep' requirements.lock > $(VENV)/build-tools.lock; \
	$(PIP) --require-hashes --only-binary :all: --requirement $(VENV)/build-tools.lock; \
	$(PIP) --require-hashes --no-deps --only-binary :all: --no-binary connection-pool \
		--no-build-isolation --use-pep517 --requirement requirements.lock; \
	$(BIN)/python -m pip --disable-pip-version-check check > /dev/null; \
	printf '%s' '$(CURDIR)' > $(LOCKED)

# Bytecode is compiled here, because an environment may have PYTHONDONTWRITEBYTECODE set, and every job imports bnn.
$(INSTALLED): pyproject.toml $(LOCKED)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q bnn
	@touch $@

.PHONY: FORCE
FORCE:

# Extras are named in the pins: pip 23 takes `coverage[toml]`, which a package asks for, to be another one than
# the pinned `coverage`, and stops for want of its hash. Where a Python cannot have the newest version, it gets a pin
# of its own. The pins that are there stay unless they no longer fit; `make lock UPGRADE=--upgrade` takes the newest versions.
.PHONY: lock
lock: ## Write both locks anew, from pyproject.toml and docs/requirements.in (needs a connection to a package index)
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder"; \
	"$$folder/bin/python" -m pip --disable-pip-version-check install --quiet uv; \
	compile="$$folder/bin/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-strip-extras \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links $(UPGRADE)"; \
	$$compile pyproject.toml --extra test --output-file requirements.lock; \
	$$compile docs/requirements.in --constraint requirements.lock --output-file docs/requirements.lock

.PHONY: clean
clean: ## Remove the environment, caches and workflow state, but not results/
	rm -rf $(VENV) $(OTHER) $(SITE) .mypy_cache .pytest_cache .ruff_cache .coverage .snakemake
	find bnn scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
