# One command for each thing a person does here. `make help` lists them.
PYTHON ?= python3
RUN := .venv/.run
TESTS := .venv/.tests
SAM := .venv-sam/.installed
AWS := .venv-aws/.installed
CHECKOV := .venv-checkov/.installed
BUILT := .aws-sam/build/template.yaml
SOURCES := template.yaml layers/requirements.txt \
  $(shell find functions layers statemachine -type f ! -name '*.pyc' ! -name '*.in')
INSTALL := .venv/bin/uv pip install --quiet --require-hashes --only-binary :all: --python
LOCKS := local/uv layers/requirements local/requirements local/aws-cli local/sam-cli local/checkov tests/requirements
# Runs a quiet command with a dot for each second it takes, so that nobody waits in silence.
DOTS := sh -c '(while sleep 1 && kill -0 $$$$; do printf .; done) 2>/dev/null & \
  dots=$$!; "$$@"; code=$$?; kill $$dots; echo; exit $$code' dots
# Two for each core, since the tests of a whole stack wait for it half of their time; each has a stack.
WORKERS := $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
PYTEST := .venv/bin/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# Any of these shows the console to its tests.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
# The oldest Python that may run this, and the one that Lambda has.
PYTHONS := 3.11 3.13
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0
# uv trusts what this machine trusts, as pip does, where the machine says what that is.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)

.DELETE_ON_ERROR:
.PHONY: help demo up test test-product model mutants storm faults pictures bench bench-quick check docs build lock clean aws-client browser chromium
help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(RUN) ## run one sample file through the whole road and stop again
	@.venv/bin/python -m local demo

up: $(RUN) aws-client ## start the local AWS and a stand-in for Quantemplate, and stay until Ctrl-C
	@.venv/bin/python -m local up

# In CI, how much of functions/ and layers/ the unit tests go through, with a floor (pyproject.toml).
# By themselves: tracing doubles what a test takes, and that of the others, through which most lines
# go too, tells nothing of what is tested.
test: $(TESTS) browser $(BUILT) ## run every test
	$(if $(CI),$(PYTEST) --cov --cov-report= tests/unit)
	$(PYTEST) $(if $(CI),--ignore tests/unit)

test-product: $(TESTS) browser $(BUILT) ## run every test but those of the emulator itself
	$(PYTEST) tests

model: $(TESTS) ## play the model of the turns for long: MODEL_SEED=1 MODEL_EXAMPLES=5000
	MODEL_EXAMPLES=$(or $(MODEL_EXAMPLES),5000) MODEL_PROGRESS=1 .venv/bin/python -m pytest \
	  tests/model/test_model.py -s -p no:randomly --timeout 0

mutants: $(TESTS) ## change the code that loses no file, and list the changes that no test notices (an hour)
	@.venv/bin/python -m tests.mutants

storm: $(TESTS) ## drop 1000 files into a storm; STORM_FILES and STORM_SEED choose another
	@STORM_FILES=$${STORM_FILES:-1000} .venv/bin/python -m pytest tests/storm -o log_cli=true \
	  -o log_cli_level=INFO -o log_cli_format='%(message)s'

faults: $(TESTS) ## run every call with every fault, as docs/reference/faults.md lists them (minutes)
	FAULTS_FULL=1 .venv/bin/python -m pytest tests/faults -q --show-capture=no -p no:randomly --timeout 0

pictures: $(TESTS) browser ## make docs/state-machine.svg and the console's screenshots anew
	@.venv/bin/python -m tests.console

bench: $(TESTS) ## measure what a run costs and how soon its end is seen (minutes)
	@PYTHONPATH=layers .venv/bin/python -m tests.bench

bench-quick: $(TESTS) ## the same, with less to go by (a minute)
	@PYTHONPATH=layers .venv/bin/python -m tests.bench --quick

check: $(TESTS) $(SAM) $(CHECKOV) ## lint, types and template; the page's JavaScript too
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/oxlint -c local/console/.oxlintrc.json --deny-warnings local/console/page
	for python in $(PYTHONS); do for code in layers/quantemplate layers/straight_through functions/*/app.py cli/stp docs emulator local; do \
	  .venv/bin/mypy --python-version $$python $$code || exit 1; done; done
	.venv/bin/mypy tests
	.venv-sam/bin/cfn-lint template.yaml
	.venv-sam/bin/sam validate --lint --region eu-west-1
	.venv-checkov/bin/checkov --config-file local/checkov.yaml

docs: $(RUN) ## write the reference (docs/reference/) anew from the code
	@PYTHONPATH=layers:cli .venv/bin/python -m docs

build: $(BUILT) ## build what goes to Lambda (arm64) into .aws-sam/build
	@echo "Built into .aws-sam/build"

lock: .venv/bin/uv ## pin every requirements file anew from its .in file
	for name in $(LOCKS); do .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt || exit 1; done

clean: ## remove all that these commands made
	rm -rf .venv .venv-* .local .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	rm -rf layers/build layers/*.egg-info
	find functions layers local emulator cli docs tests -name __pycache__ -prune -exec rm -rf {} +

# --- what goes to Lambda ---------------------------------------------------------------------
$(BUILT): $(SOURCES) $(SAM)
	@printf 'Building for Lambda (arm64) '
	@mkdir -p .aws-sam
	@$(DOTS) sh -c 'PATH="$(CURDIR)/.venv/bin:$$PATH" exec .venv-sam/bin/sam build >.aws-sam/build.log 2>&1' || { cat .aws-sam/build.log; exit 1; }
	@touch $@

# --- environments: made once, and again when their pins change -------------------------------
.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; there is no $(PYTHON) here. Name another with: make PYTHON=python3.13 …"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) was found. Name another with: make PYTHON=python3.13 …"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make a virtual environment. Install the package that lets it: apt install python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"; exit 1; }
	@printf 'Making .venv (once) '
	@$(DOTS) $(PYTHON) -m venv --clear --without-pip .venv

.venv/bin/uv: local/uv.txt .venv/bin/python
	@printf 'Installing the installer, uv (once) '
	@.venv/bin/python -m ensurepip >/dev/null
	@$(DOTS) .venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r local/uv.txt
	@.venv/bin/uv pip uninstall --quiet --python .venv pip
	@touch $@

$(RUN): local/requirements.txt .venv/bin/uv
	@printf 'Installing the local stack and the command stp (once) '
	@$(DOTS) $(INSTALL) .venv -r local/requirements.txt
	@ln -sf ../../cli/bin/stp .venv/bin/stp
	@touch $@

# Compiled as a whole: tests start hundreds of processes, and where Python writes no bytecode each
# of them would compile what it imports.
$(TESTS): tests/requirements.txt $(RUN)
	@printf 'Installing what the tests need (once) '
	@$(DOTS) $(INSTALL) .venv -r tests/requirements.txt
	@.venv/bin/python -m compileall -q -j 0 .venv/lib
	@touch $@

$(SAM): local/sam-cli.txt .venv/bin/uv
	@printf 'Installing the SAM CLI (once) '
	@.venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-sam
	@$(DOTS) $(INSTALL) .venv-sam -r local/sam-cli.txt
	@touch $@

$(CHECKOV): local/checkov.txt .venv/bin/uv
	@printf 'Installing checkov (once) '
	@.venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-checkov
	@$(DOTS) $(INSTALL) .venv-checkov -r local/checkov.txt
	@touch $@

# Only where the machine has no aws client that runs; client/ holds nothing else, for the PATH.
aws-client:
	@aws --version >/dev/null 2>&1 || $(MAKE) --no-print-directory $(AWS)

$(AWS): local/aws-cli.txt .venv/bin/uv
	@printf 'Installing an aws client (once) '
	@.venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-aws
	@$(DOTS) $(INSTALL) .venv-aws -r local/aws-cli.txt
	@mkdir .venv-aws/client && ln -s ../bin/aws .venv-aws/client/aws
	@touch $@

# Only where the machine has no browser for the console's tests, and lets us install one. CI fails without.
browser:
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory chromium; \
	  else echo "No browser is here, so that the tests of the page are left out. To have them: install chromium or Google Chrome, so that one of these is on the PATH: $(BROWSERS)"; [ -z "$$CI" ]; fi

chromium:
	@printf 'Installing chromium for the tests of the console (once) '
	@mkdir -p .local
	@$(DOTS) sh -c '{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >.local/chromium.log 2>&1' || { cat .local/chromium.log; exit 1; }
