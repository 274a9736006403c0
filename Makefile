# make        set up and run all steps on the built-in virtual amp
# make test   set up and run the tests
# make servers install moto (S3) and Google's storage emulator, which tests of buckets use where they are
# make check  lint and types, as the pre-commit hook does (make hook installs it)
# make schema write the JSON schemas of our files again, into configs/schema
# make docs   write the schemas and the pages generated from them and from the commands, into docs/reference

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
SERVERS := $(VENV)/servers/.ready

.PHONY: quickstart test servers check schema docs hook clean

quickstart: $(READY)
	$(VENV)/bin/zoo quickstart configs/quickstart/search.json

test: $(READY)
	$(VENV)/bin/pytest -n auto --maxprocesses 4 --no-loadscope-reorder

servers: $(SERVERS)

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyrefly check

schema: $(READY)
	$(VENV)/bin/python -m zoo.cli.schema

docs: schema
	$(VENV)/bin/python -m zoo.cli.reference

hook: $(READY)
	$(VENV)/bin/pre-commit install

clean:
	rm -rf quickstart build

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(SERVERS): tests/support/servers.txt | $(READY)
	$(PYTHON) -m venv $(VENV)/servers
	$(VENV)/servers/bin/pip install --disable-pip-version-check -r $<
	touch $@
