# Every target explains itself: `make` alone prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
PYTEST_ARGS ?=
SOAK_ARGS ?=

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: ## install what a build needs: virtual environment, OCI runtime, git
	@tools/setup runtime

.PHONY: demo
demo: setup ## bake the example project, run one of its images, print its answer
	@examples/demo/run

.PHONY: setup-test
setup-test: ## install what the tests need besides: real peers, base images
	@tools/setup test

.PHONY: test
test: setup-test ## run every test, against the real peers
	@tools/run-tests $(PYTEST_ARGS)

.PHONY: lint
lint: setup-test ## style, types and import contracts only
	@$(PYTHON) -m pytest -q tests/architecture

.PHONY: bench
bench: setup-test ## measure ours beside buildx+buildkitd and buildah, and write docs/benchmarks.md
	@tools/setup bench
	@.cache/bench-venv/bin/python benchmarks/run.py --write docs/benchmarks.md

.PHONY: fuzz
fuzz: setup-test ## long property tests, and comparisons of made-up input with the peers (not part of `make test`)
	@BAKEHOUSE_HYPOTHESIS_PROFILE=fuzz $(PYTHON) -m pytest -q --timeout 0 tests/unit tests/differential -k 'properties or property or mutated or generated'

.PHONY: soak
soak: setup-test ## kill builds at random moments for ten minutes (not part of `make test`; SOAK_ARGS="--minutes 60")
	@$(PYTHON) -m tests.fault.soak $(SOAK_ARGS)

.PHONY: clean
clean: ## remove everything that the other targets made in this folder
	@rm -rf $(VENV) .cache build dist
