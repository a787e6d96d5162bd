# What people type. The work is done by `kopf-sdk` (sdk/) and by the programs named here; this file only connects them.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Pinned tools win over what the machine has; KUBECONFIG and everything else of the caller stays as it is.
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/.tools/bin:$(PATH)

# What `make test` needs beside Python.
TEST_TOOLS := node chart bundle crane olm
CHART := charts/memcached-operator
IMG ?= localhost/memcached-operator:dev
VERSION = $(shell sed -n 's/^version: //p' $(CHART)/Chart.yaml)
BUNDLE_IMG ?= ghcr.io/memcached-operator/memcached-operator-bundle:v$(VERSION)
NAMESPACE ?= demo-operator-system
# Everything after the last colon is the tag; a registry may have a port.
REPOSITORY = $(shell echo '$(IMG)' | sed -E 's/:[^:\/]*$$//')
TAG = $(shell echo '$(IMG)' | sed -nE 's/.*:([^:\/]*)$$/\1/p')
HELM_VALUES = --set image.registry=,image.repository=$(REPOSITORY),image.tag=$(or $(TAG),latest)
BUILD_ARGS ?=
CONTAINER_TOOL ?=

.PHONY: help
help: ## List every target
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_ -]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ The two commands

.PHONY: demo
demo: venv packages ## Start a local cluster, install the operator, use a cache (CLUSTER=current: on your own cluster)
	@python demo/memcached_demo.py

.PHONY: test
test: venv test-packages lint ## Lint, types, unit, integration (real API server) and e2e (real pods) tests
	kopf-sdk tools build $(TEST_TOOLS)
	$(MAKE) --no-print-directory check-generated
	python -m pytest -m "not full" $(PYTEST_ARGS)

##@ Demo

.PHONY: demo-down
demo-down: venv ## Remove everything that `make demo` started
	@kopf-sdk cluster down --name demo

.PHONY: olm-demo
olm-demo: venv packages ## The same, installed by the Operator Lifecycle Manager from a catalog (CLUSTER=current as well)
	@python demo/olm_demo.py

.PHONY: olm-demo-down
olm-demo-down: venv ## Remove everything that `make olm-demo` started
	@kopf-sdk cluster down --name olm-demo

.PHONY: cache-drill
cache-drill: venv packages ## All that is done to a cache in its life, and what it costs, counted (OUTPUT=json; 8 minutes)
	@python demo/cache_drill.py --output $(or $(OUTPUT),text)

##@ Develop

.PHONY: venv
venv: $(VENV)/.installed ## Make the virtual environment from the locked dependencies

$(VENV)/.installed: requirements/dev.txt pyproject.toml sdk/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: set PYTHON=…")'
	@echo "Installing the locked Python dependencies into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable sdk --editable .
	@touch $@

.PHONY: packages
packages: venv ## Install the host's packages that the local cluster needs (Debian and Ubuntu, as root)
	@kopf-sdk tools install-packages node images

.PHONY: test-packages
test-packages: venv ## Install what the tests need beside that
	@kopf-sdk tools install-packages

.PHONY: tools
tools: venv ## Build every pinned tool that is missing (see tools/README.md)
	kopf-sdk tools build

.PHONY: bench
bench: venv packages ## Side by side with operator-sdk's Go sample: N=1000 resources, OUT=dir for bench.json (40 minutes)
	kopf-sdk tools build node bundle
	PYTHONPATH=tests:demo python -m bench --resources 100,$(or $(N),1000) --output $(or $(OUT),dist/bench) $(BENCH_ARGS)

.PHONY: lint
lint: venv ## Style, types, walls between packages
	ruff check .
	ruff format --check .
	mypy
	lint-imports

.PHONY: fmt
fmt: venv ## Format the Python code
	ruff format .
	ruff check --fix .

.PHONY: test-e2e
test-e2e: venv test-packages ## The tests on a node with real pods
	kopf-sdk tools build $(TEST_TOOLS)
	python -m pytest -m "not full" tests/e2e $(PYTEST_ARGS)

.PHONY: test-full
test-full: venv test-packages lint ## What `make test` runs, and what takes longer
	kopf-sdk tools build
	python -m pytest $(PYTEST_ARGS)

.PHONY: lock
lock: venv ## Lock the dependencies again (versions and hashes, no index)
	requirements/lock.sh

##@ Generate

.PHONY: generate manifests
generate manifests: venv ## CRD, RBAC and API reference from the Python types
	kopf-sdk generate

.PHONY: chart-docs
chart-docs: venv ## The chart's README and its annotations for Artifact Hub
	kopf-sdk tools build helm-docs
	helm-docs --chart-search-root $(CHART) --sort-values-order file --log-level warning
	python charts/release.py annotate

.PHONY: bundle
bundle: venv ## The OLM bundle from the chart and charts/bundle.yaml
	kopf-sdk tools build helm
	kopf-sdk bundle build $(CHART) --output bundle

.PHONY: check-generated
check-generated: venv ## Fail when a generated file differs from what its source says
	kopf-sdk tools build helm
	kopf-sdk generate --check
	kopf-sdk bundle build $(CHART) --output bundle --check --quiet
	kopf-sdk catalog build bundle --image $(BUNDLE_IMG) --output catalog --check

##@ Build

.PHONY: base-images
base-images: venv packages ## Base images from distribution packages, where no registry is reachable
	kopf-sdk images base

.PHONY: docker-build
docker-build: venv ## The operator's image: IMG=… CONTAINER_TOOL=docker|podman|buildah BUILD_ARGS="K=V …"
	kopf-sdk images build --tag $(IMG) $(if $(CONTAINER_TOOL),--container-tool $(CONTAINER_TOOL)) $(foreach arg,$(BUILD_ARGS),--build-arg $(arg))

.PHONY: docker-push
docker-push: venv ## Push IMG to its registry, with the container tool that built it (PUSH_ARGS=--plain-http)
	kopf-sdk images push $(IMG) $(if $(CONTAINER_TOOL),--container-tool $(CONTAINER_TOOL)) $(PUSH_ARGS)

.PHONY: bundle-build
bundle-build: bundle ## The bundle's image BUNDLE_IMG, as an archive: dist/bundle.tar
	@mkdir -p dist
	kopf-sdk bundle image bundle --tag $(BUNDLE_IMG) --output dist/bundle.tar

.PHONY: catalog-build
catalog-build: bundle ## A file-based catalog with the bundle: catalog/
	kopf-sdk catalog build bundle --image $(BUNDLE_IMG) --output catalog

##@ Chart

.PHONY: chart-test
chart-test: venv test-packages ## Lint the chart, install it with every ci/*-values.yaml on a node, upgrade, package, push and pull it
	kopf-sdk tools build node chart crane
	ct lint --config ct.yaml --remote $(if $(shell git rev-parse --quiet --verify origin/main),origin,heads)
	python -m pytest tests/unit/chart tests/integration/chart tests/e2e/chart $(PYTEST_ARGS)

.PHONY: chart-package
chart-package: venv ## dist/memcached-operator-<version>.tgz, the same bytes for the same commit (KEY=… KEYRING=…: signed)
	kopf-sdk tools build helm4
	python charts/release.py package $(if $(KEY),--key "$(KEY)" --keyring "$(KEYRING)")

##@ Install

.PHONY: install
install: venv ## The CRD into the cluster of the current context
	kopf-sdk generate crds | kubectl apply --server-side -f -
	@echo "Installed into the cluster of the context $$(kubectl config current-context)"

.PHONY: uninstall
uninstall: venv ## Remove the CRD, and with it every Memcached, from the cluster of the current context
	kopf-sdk generate crds | kubectl delete --ignore-not-found -f -
	@echo "Removed from the cluster of the context $$(kubectl config current-context)"

.PHONY: run
run: venv ## Run the operator on this machine against the current context (RELOAD=1: again after every change of a file)
	$(if $(RELOAD),kopf-sdk run --reload --) python -m memcached_operator --metrics-bind-address=0 $(ARGS)

.PHONY: deploy
deploy: venv ## Install the chart with IMG into NAMESPACE of the current context
	kopf-sdk tools build helm
	helm upgrade --install demo $(CHART) --namespace $(NAMESPACE) --create-namespace --wait $(HELM_VALUES)
	@echo "Installed as release demo in namespace $(NAMESPACE)"

.PHONY: undeploy
undeploy: venv ## Uninstall what `make deploy` installed; the CRD and every Memcached stay
	kopf-sdk tools build helm
	helm uninstall demo --namespace $(NAMESPACE) --ignore-not-found

.PHONY: build-installer
build-installer: venv ## One file that installs everything with IMG: dist/install.yaml
	kopf-sdk tools build helm
	@mkdir -p dist
	@printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n---\n' '$(NAMESPACE)' > dist/install.yaml
	helm template demo $(CHART) --namespace $(NAMESPACE) --no-hooks --kube-version 1.34.0 $(HELM_VALUES) >> dist/install.yaml
	@echo "kubectl apply --server-side -f dist/install.yaml"
