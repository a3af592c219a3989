# Two commands do everything on a fresh machine with Python 3.11 to 3.13 and make:
#   make demo   audits a model that really is backdoored
#   make test   the checks that CI runs
PYTHON ?= python3
BIN := .venv/bin
UV ?= $(BIN)/uv

.PHONY: demo test test-all coverage lint lock settings docs bench screenshots victims test-victims package clean

# In the window where there is a screen, else in words.
demo: .venv/ready
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
	    $(BIN)/bdshift-gui --demo --demo-folder bdshift-demo || $(BIN)/bdshift demo; \
	else \
	    $(BIN)/bdshift demo; \
	fi

test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal

# Also those that take long: before a release, and where what they show was changed.
test-all: lint
	$(BIN)/python -m pytest -n auto --dist worksteal -m ""

# Which lines and branches the tests reach; the page is in build/coverage.
coverage: .venv/ready
	COVERAGE_FILE=build/coverage.db $(BIN)/python -m pytest -n auto --dist worksteal \
	    --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# The virtual environment, from the lock. The last line marks it as complete.
.venv/ready: uv.lock pyproject.toml packaging/set_up.py
	$(PYTHON) packaging/set_up.py
	touch $@

# Newer versions of everything.
lock: .venv/ready
	$(BIN)/uv lock --upgrade

# Everything that can be chosen by name. A test compares the page with the code.
settings: .venv/ready
	$(BIN)/bdshift settings --markdown > docs/settings.md

# The site, in build/site: a folder of files, for any server. It needs nothing of bdshift installed.
docs: $(filter $(BIN)/uv,$(UV))
	NO_MKDOCS_2_WARNING=1 $(UV) run --locked --isolated --only-group docs mkdocs build --strict

$(BIN)/uv: .venv/ready

bench: .venv/ready
	$(BIN)/bdshift bench --large --overwrite --out docs/benchmark.md

screenshots: .venv/ready
	$(BIN)/python tools/screenshots.py docs/screenshots bdshift-demo

# The demo's two models, trained from a seed; some ten minutes on two cores. Resumable.
STICKER := badnets:size=4,color=ffd800,row=20,column=14
victims: .venv/ready
	$(BIN)/bdshift lab train build/victim --attack $(STICKER) --target speed_80
	$(BIN)/bdshift lab train build/clean-twin
	mkdir -p resources/demo
	for name in victim clean-twin; do \
	    cp build/$$name/model.pth resources/demo/$$name.pth; \
	    cp build/$$name/card.json resources/demo/$$name.json; \
	done

# The models of the tests: the same, of half the width.
test-victims: .venv/ready
	$(BIN)/bdshift lab train build/small/victim --width 8 --attack $(STICKER) --target speed_80
	$(BIN)/bdshift lab train build/small/clean-twin --width 8
	mkdir -p tests/data
	for name in victim clean-twin; do \
	    cp build/small/$$name/model.pth tests/data/$$name.pth; \
	    cp build/small/$$name/card.json tests/data/$$name.json; \
	done

# Programs that need no Python, and a Debian package of them; docs/packages.md. PYTHON is to have a
# shared library. ENVIRONMENT is one where bdshift and PyInstaller are installed; by default it is made,
# with the PyTorch that TORCH names.
package: .venv/ready
	$(PYTHON) packaging/package.py $(ENVIRONMENT)
	$(BIN)/python -m pytest -m "" tests/packaging/test_frozen.py

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
