# One environment, .venv, made from the hashed files in requirements/. Each recipe says in one line what it does.
# ARGS is passed on: make run ARGS='--port 8081', make test ARGS='tests/unit -x'. PYTHON=… picks an interpreter.

.DEFAULT_GOAL := help
# Targets share .venv, so two at once would install over each other.
.NOTPARALLEL:
.PHONY: help run install test check fuzz bench docs lock console-assets console-pictures node-peers find-python clean

PYTHON ?= python3.14 python3.13 python3.12 python3.11 python3
NODE_PEERS := tests/interop/node/node_modules/.package-lock.json

# Sets $python to the first interpreter that has the right version and can make environments, or says what is missing.
# Debian and Ubuntu ship ensurepip in a package of its own.
find_python = \
	python=; partial=; \
	for candidate in $(PYTHON); do \
		"$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || continue; \
		if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$$candidate; break; fi; \
		partial=$$candidate; \
	done; \
	if [ -z "$$python" ] && [ -n "$$partial" ]; then \
		echo "$$partial cannot make virtual environments: its venv or ensurepip module is missing." >&2; \
		echo "On Debian or Ubuntu: apt-get install $$(basename "$$partial")-venv" >&2; exit 1; \
	elif [ -z "$$python" ]; then \
		echo "No Python 3.11 to 3.14 found; tried: $(PYTHON)" >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.13" >&2; exit 1; \
	fi

# Wheels only, so no compiler is needed; hashes checked, so nothing else than what was locked gets in.
pip = .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input
install_locked = $(pip) install --only-binary :all: --require-hashes
# The build backend looks for its own program on PATH.
install_project = PATH="$(CURDIR)/.venv/bin:$$PATH" $(pip) install --no-deps --no-build-isolation --editable .
make_venv = \
	if [ ! -x .venv/bin/python ]; then \
		$(find_python); \
		echo "Making .venv with $$("$$python" --version)"; \
		"$$python" -m venv .venv; \
	fi
# An environment whose Python or pip has gone away cannot be repaired from inside.
drop_broken_venv = .venv/bin/python -c 'import pip' 2>/dev/null || rm -rf .venv

help:
	@echo "make TARGET   (options for the program behind it: ARGS='…')"
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Use
run: ## Start the gateway: `trebuchet serve`
	@$(drop_broken_venv)
	@if [ -e .venv/.dev ]; then $(MAKE) -s .venv/.dev; else $(MAKE) -s .venv/.run; fi
	@.venv/bin/trebuchet serve $(ARGS)

##@ Develop
install: ## Make or refresh .venv with everything development needs
	@$(drop_broken_venv)
	@$(MAKE) -s .venv/.dev

check: install ## Lint, formatting and types, as CI does
	@echo "Checking lint, formatting and types"
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

# ALL=yes: what is not here is an error, as in CI.
test: install ## Run the tests; those of programs that are not here are left out, and named
	@if command -v npm >/dev/null; then $(MAKE) -s node-peers; fi; \
	marks=; absent() { marks="$${marks:+$$marks and }not $$1"; echo "$$2 is not here: leaving out the tests $$3"; }; \
	command -v npm >/dev/null || absent node npm "with the Node.js SDK and node-smpp"; \
	PATH="$$PATH:/usr/sbin" command -v bearerbox >/dev/null || absent kannel Kannel "in which it is the peer"; \
	command -v tshark >/dev/null || absent tshark tshark "in which it reads our captures"; \
	{ command -v swaks && perl -MNet::SSLeay -e 1; } >/dev/null 2>&1 || \
	absent swaks "swaks, or its TLS (libnet-ssleay-perl)," "in which it hands over mail"; \
	{ PATH="$$PATH:/usr/sbin" command -v postfix >/dev/null && [ "$$(id -u)" = 0 ]; } || absent postfix "Postfix, or root," "in which it is the relay"; \
	[ -x /usr/bin/chromium ] || absent browser Chromium "in which it looks at the console"; \
	.venv/bin/python -c 'import atheris' 2>/dev/null || absent atheris atheris "in which it is the fuzzer"; \
	if [ -n "$$marks" ] && [ -n "$(ALL)" ]; then echo "ALL asks for every test" >&2; exit 1; fi; \
	.venv/bin/python -m pytest -m "$$marks" $(ARGS) || exit; \
	if [ -z "$(ARGS)" ]; then \
	echo "The same gateways on PostgreSQL"; \
	.venv/bin/python -m pytest --postgres --numprocesses 2 -m "$${marks:+$$marks and }not sqlite" $(ON_POSTGRES); fi

# Tests that start a gateway, told from those that need no database.
ON_POSTGRES := tests/path tests/interop

# Each of the fuzzers; what they learn stays in .fuzz. SECONDS=600 is how long each runs.
fuzz: install ## Fuzz the SMPP codec, session and receipts for longer than the tests do
	@.venv/bin/python tests/fuzz/fuzzers.py .fuzz $(SECONDS)
SECONDS ?= 600

bench: install ## Measure CPU per message, rates and memory
	@.venv/bin/python bench/run.py $(ARGS)
	@if [ -z "$(ARGS)" ]; then .venv/bin/python bench/pictures.py; fi

docs: install ## Write the generated pages of docs/ anew
	@if [ -f tools/build_docs.py ]; then .venv/bin/python -m tools.build_docs $(ARGS); \
	else echo "No page of docs/ is generated yet"; fi

##@ Maintain
# Versions already locked stay, unless ARGS says otherwise. The last two files follow the first.
lock: ## Lock dependencies with hashes into requirements/ (newest ones: ARGS=--upgrade)
	@[ -x .venv/bin/uv ] || $(MAKE) -s install
	@echo "Locking requirements/dev.txt, run.txt and build.txt"
	@$(compile) pyproject.toml --group dev --output-file requirements/dev.txt $(ARGS)
	@$(compile) pyproject.toml --constraint requirements/dev.txt --output-file requirements/run.txt $(ARGS)
	@$(compile) --group build --constraint requirements/dev.txt --output-file requirements/build.txt $(ARGS)
compile = .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11

console-assets: ## Build the console's CSS and scripts anew (needs Node.js)
	@cd tools/console && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && node build.mjs

console-pictures: install ## Take the pictures of the console in docs/ anew (needs Chromium)
	@.venv/bin/python -m tools.console_pictures

node-peers: $(NODE_PEERS) ## Install the Node.js packages that the tests talk to

find-python: ## Print the Python that .venv would be made with
	@$(find_python); command -v "$$python"

clean: ## Remove .venv and everything else made here
	@echo "Removing .venv, node_modules, caches and builds"
	@rm -rf .venv tests/interop/node/node_modules tools/console/node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
	@find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.venv/.run: requirements/run.txt requirements/build.txt pyproject.toml
	@$(make_venv)
	@echo "Installing what the gateway needs into .venv"
	@$(install_locked) -r requirements/run.txt -r requirements/build.txt
	@$(install_project)
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml
	@$(make_venv)
	@echo "Installing what development needs into .venv"
	@$(install_locked) -r requirements/dev.txt
	@$(install_project)
	@touch $@

$(NODE_PEERS): tests/interop/node/package.json tests/interop/node/package-lock.json
	@echo "Installing the peers of the tests into tests/interop/node"
	@cd tests/interop/node && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null
	@touch $@
