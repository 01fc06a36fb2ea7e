# Talus. `make` lists the targets. Everything but `race` needs Go only; `race` needs a C compiler, `images`, `up` and
# `down` need Docker. Tests use the best Redis they find and say which.

MODULES  := pkg services/command services/edge services/standalone tests
PACKAGES := $(addprefix ./,$(addsuffix /...,$(MODULES)))

# What `test` runs: all but the tests that need containers or other people's clients, or break a system of many processes
# (`e2e` runs those).
SLOW     := ./tests/clients/... ./tests/compose/... ./tests/chaos ./tests/chaos/topology
FAST     := $(filter-out ./tests/...,$(PACKAGES)) $(filter-out ./tests/clients/... ./tests/compose/... ./tests/chaos/...,$(patsubst %/,./%/...,$(wildcard tests/*/))) \
            $(addprefix ./tests/chaos/,check cmd/... fault history mutant workload)

# Coverage is measured over the domain, the protocol and the insides of the services, and may not sink below FLOOR.
ROOT     := github.com/talus-tally/talus
COVERED  := $(ROOT)/pkg/...,$(ROOT)/services/command/internal/...,$(ROOT)/services/edge/internal/...,$(ROOT)/services/standalone/internal/...
FLOOR    := 85.0

LINT     := bin/golangci-lint
COMPOSE  := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
IMAGES   := command edge standalone
VERSION  ?= latest

# What each package says of itself, without the list of all packages that coverage is measured over.
TERSE    := sed -e 's/\tcoverage: .*//' -e '/\[no test files\]/d'

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test redis race e2e chaos mutants load load-growth load-rivals bench lint vet fmt check tidy tidy-check images up down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## command, edge, Redis and SQLite in one process on :8080
	go run ./services/standalone/cmd/standalone

build: ## build the three services into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./services/command/cmd/command ./services/edge/cmd/edge ./services/standalone/cmd/standalone

test: redis ## run the tests; print the coverage and fail below 85 %
	@echo "go test -coverpkg=… $(FAST)"
	@go test -count=1 -timeout 10m -coverpkg=$(COVERED) -coverprofile=coverage.out $(FAST) | $(TERSE)
	@go tool cover -func=coverage.out | awk -v floor=$(FLOOR) '/^total:/ { sub("%", "", $$3); total = $$3 } \
		END { printf "coverage: %.1f %% (at least %.1f %%)\n", total, floor; exit total < floor }'

redis: ## say which Redis the tests use
	@go test -count=1 -v -run '^TestTheSharedRedisAnswers' ./pkg/redistest | grep '^redistest:'

race: redis ## run the tests under the race detector (needs a C compiler)
	@echo "go test -race $(FAST)"
	@CGO_ENABLED=1 go test -race -count=1 -timeout 20m $(FAST) | $(TERSE)

e2e: redis ## run the end-to-end tests, those on containers included
	go test -count=1 -timeout 20m -v ./tests/e2e/... $(SLOW)
	TALUS_LOAD_REPEATS=30 go test -count=1 -v -run 100000Nodes ./pkg/eventlog

# What `chaos` breaks, how often, how many people there are and how much each writer does in a second;
# `make chaos FAULTS=long SEEDS=3 SESSIONS=50 CLIENTS=20 RATE=2` is the long run. The table and the figures go to OUT, with the histories of runs that failed.
FAULTS   ?= smoke
SEED     ?= 1
SEEDS    ?= 1
ROUNDS   ?= 1
SESSIONS ?= 8
CLIENTS  ?= 5
RATE     ?= 12
OUT      ?= chaos-results

chaos: ## break a real system while people use it; FAULTS=long SEEDS=3 for the long run
	go run ./tests/chaos/cmd/talusrun -faults $(FAULTS) -seed $(SEED) -seeds $(SEEDS) -rounds $(ROUNDS) -sessions $(SESSIONS) -clients $(CLIENTS) -rate $(RATE) -out $(OUT)

mutants: ## plant sixteen bugs, one after the other, and want the checker to find each
	go run ./tests/chaos/cmd/talusmutants

# What `load` does; `make load LOAD="-scenario ceiling -edges 1"`, `LOAD="-url http://127.0.0.1:8080"`, `LOAD=-help` for more.
LOAD     ?= -scenario standard

load: ## load a fresh Talus for less than three minutes; LOAD=-help for what else
	go run ./tests/load/cmd/talusload $(LOAD)

load-growth: ## measure what costs grow with, in less than ten minutes
	go run ./tests/load/cmd/talusload -scenario growth -edges 4 -out load-results/growth

load-rivals: ## the same load on Talus, on a Socket.IO server (needs Node) and on Centrifugo
	go run ./tests/load/cmd/talusload -scenario room,idle -edges 1 -out load-results/talus
	go run ./tests/load/cmd/talusload -scenario room,idle -rival socketio -out load-results/socketio
	go run ./tests/load/cmd/talusload -scenario room,idle -rival centrifugo -out load-results/centrifugo

bench: redis ## run the benchmarks on a real Redis
	go test -run '^$$' -bench . -benchmem -timeout 30m ./pkg/... ./services/command/... ./services/edge/...

lint: $(LINT) ## run golangci-lint over all modules
	@failed=; for module in $(MODULES); do echo "lint $$module"; \
		(cd $$module && $(CURDIR)/$(LINT) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...) || failed=1; done; test -z "$$failed"

$(LINT): tools/go.mod tools/go.sum
	GOWORK=off go -C tools build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

vet: ## run go vet over all modules
	go vet $(PACKAGES)
	go vet -tags planted ./pkg/planted

fmt: ## check that gofmt would change nothing
	@unformatted=$$(gofmt -l $(MODULES)); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }

check: fmt vet lint tidy-check test ## everything that a change must pass

tidy: ## bring every go.mod up to date
	@for module in $(MODULES) tools; do (cd $$module && GOWORK=off go mod tidy) || exit 1; done

tidy-check: ## check that `make tidy` would change nothing
	@for module in $(MODULES) tools; do (cd $$module && GOWORK=off go mod tidy -diff) || exit 1; done

images: ## build the three container images
	@for service in $(IMAGES); do docker build -f deploy/Dockerfile --build-arg SERVICE=$$service -t talus-$$service:$(VERSION) . || exit 1; done

up: ## start Redis, two commands, three edges and a proxy on :8080
	$(COMPOSE) up --build --detach

down: ## stop what `up` started; its data stays
	$(COMPOSE) down

clean: ## remove what was built and measured
	rm -rf bin coverage.out
