# The commands of this project. `make` alone lists them.

PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help up test demo bench package deploy lint types format clean venv

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: venv  ## run everything on this machine; PORT=8000 asks for a port, MODE=lambda runs it as deployed
	@$(PYTHON) -m local up --with-parent $(if $(PORT),--port $(PORT)) $(if $(MODE),--mode $(MODE))

# With BIDE_REDIS_URL set, tests/conftest.py runs the store suite alone, against that server.
test: $(if $(BIDE_REDIS_URL),venv,lint types)  ## check style and types and run the tests; ARGS="-k name" goes to pytest
	@$(PYTHON) -m pytest -n 2 $(ARGS)

demo: venv  ## check 400 pages and start 500 virtual machines (of a cloud on this machine), polled together
	@$(PYTHON) -m local.demo

bench: venv  ## measure against the goals; ONLY=name for one, QUICK=1 for a short run
	@$(PYTHON) -m bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

package: venv  ## make the deployment package, ready for a fast start; STAGE=dev is the default
	@$(PYTHON) -m local.package --stage $(or $(STAGE),dev)

deploy: venv  ## deploy to AWS; STAGE=dev is a stage of .chalice/config.json, see docs/deploying.md
	@$(PYTHON) -m local.deploy $(if $(STAGE),--stage $(STAGE))

lint: venv  ## check style
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --check --quiet .

types: venv  ## check types
	@$(PYTHON) -m mypy

format: venv  ## put style right, as far as that goes by itself
	@$(PYTHON) -m ruff check --fix --quiet .
	@$(PYTHON) -m ruff format --quiet .

clean:  ## forget all tasks: delete the data in .bide
	@if [ -x $(PYTHON) ]; then exec $(PYTHON) -m local clean; else rm -rf .bide; fi

venv:
	@./local/install.sh
