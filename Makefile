# Thin targets over Python entry points. `make` does the main job, `make serve` shows it, `make test` proves it.
PYTHON ?= $(or $(shell command -v python3.11),python3)
BIN := .venv/bin
PORT ?= 8000
# A worker a core; tests that time something run alone: see tests/conftest.py.
PYTEST := $(BIN)/python -m pytest --durations 10 -n logical --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

.PHONY: all setup site grade serve test test-slow test-all release pdf clean

all: site grade
	@echo "site      _build/html/index.html"
	@echo "feedback  _build/feedback/a02_speculative_decoding/index.html"
	@echo "make serve shows both"

setup:
	@$(PYTHON) tools/setup_environment.py

site: setup
	@$(BIN)/autograder release --all
	@$(BIN)/python book/_ext/build_site.py

grade: setup
	@$(BIN)/autograder sample
	@$(BIN)/autograder grade a02_speculative_decoding

serve:
	@echo "http://127.0.0.1:$(PORT)/html/  and  http://127.0.0.1:$(PORT)/feedback/"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build

test:
	@$(PYTHON) tools/setup_environment.py --tests
	@$(BIN)/autograder release --all
	@$(PYTEST) -m "not slow and not release"

test-slow:
	@$(PYTHON) tools/setup_environment.py --tests
	@$(PYTEST) -m "slow and not release"

test-all:
	@$(PYTHON) tools/setup_environment.py --tests
	@$(BIN)/autograder release --all
	@$(BIN)/python tools/run_all_tests.py -- $(PYTEST)

release: setup
	@$(BIN)/autograder release --all --zip
	@$(BIN)/python book/_ext/release_book.py

pdf: setup
	@$(PYTHON) tools/setup_environment.py --tests
	@$(BIN)/autograder release --all
	@$(BIN)/python book/_ext/print_book.py

clean:
	rm -rf _build
