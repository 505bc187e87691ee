VERSION := $(shell git describe --tags --always --abbrev=12 --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
# The same bytes from the same commit, wherever it lies: no paths, and no state of the checkout but VERSION.
GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
LINT    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CC_HERE := $(shell command -v gcc || command -v cc)

IMAGE   := kmsrun

FUZZTIME := 60s
STRESSTIME := 2m
# ONLY_LO runs a command where there is no network but lo, where that can be made (it takes
# root), and fails when anything in it wanted another address.
ONLY_LO := $(if $(filter 0,$(shell id -u)),$(shell unshare -n true 2>/dev/null && command -v ip >/dev/null && echo test/loopback.sh))

.PHONY: build demo test vet lint skips fuzz stress bench deps image compose clean

build: ## the static binary, at bin/kmsrun
	$(GO_BUILD) -o bin/kmsrun ./cmd/kmsrun

demo: build ## a rotation from start to end, on the embedded emulator
	@go build -o bin/demo ./examples/demo && go build -o bin/demo-app ./examples/demo/app
	@bin/demo bin/kmsrun bin/demo-app examples/demo/kmsrun.yaml

test: vet lint skips ## all that a change must pass; the race detector needs a C compiler
	CGO_ENABLED=$(if $(CC_HERE),1,0) $(ONLY_LO) go test $(if $(CC_HERE),-race) ./...
	cd test/openapi && go test -count 1 ./... # go's cache does not see what they read of this module
	cd test/kubernetes && go test -count 1 ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5000x

vet:
	go vet ./...
	cd test/openapi && go vet ./...
	cd test/kubernetes && go vet ./...
	@changes=$$(go fix -diff ./...); test -z "$$changes" || { echo "$$changes"; exit 1; }

lint:
	$(LINT) run ./...

skips: ## one loud line for each thing that is not here, and that some test wants
	$(if $(CC_HERE),,@echo 'SKIPPED: the race detector: no C compiler (make deps installs one)')
	$(if $(ONLY_LO),,@echo 'SKIPPED: that tests contact nothing but loopback: no network namespace can be made here')
	@command -v nginx >/dev/null || echo 'SKIPPED: rotation under a real nginx: no nginx (make deps installs it)'
	@command -v promtool >/dev/null || echo 'SKIPPED: the alert rules and the dashboard in Prometheus: no promtool (make deps installs it)'
	@command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || echo 'SKIPPED: examples/compose: no docker-compose (make deps installs it)'
	@command -v aliyun >/dev/null || echo 'SKIPPED: the commands of the aliyun CLI against the emulator: no aliyun'
	@docker info >/dev/null 2>&1 || echo 'SKIPPED: the image: no Docker engine answers'

fuzz: ## every fuzz target for FUZZTIME; in make test for a count of runs
	@test/fuzz.sh $(FUZZTIME) ./secret ./config ./emulator

stress: ## every way of logging in, with tokens of seconds, for STRESSTIME
	KMSRUN_TEST_STRESS=$(STRESSTIME) go test -count 1 -timeout 20m -run '^TestLoginTypes$$' -v ./cmd/kmsrun

bench: ## start-up, size and memory beside a floor program; cost of one fetch, and of 1 to 1000 over TLS; the emulator on one core
	go test -run '^$$' -bench . -benchmem ./kms
	go test -run '^$$' -bench . ./cmd/kmsrun
	go test -run '^$$' -bench . -benchmem -cpu 1 ./emulator

deps: ## what the tests want besides Go, make and git (Debian)
	apt-get update -q
	apt-get install -qy --no-install-recommends gcc libc6-dev iproute2 nginx-light prometheus docker-compose

image: image-amd64 image-arm64 ## FROM scratch: this machine's kmsrun:latest, and kmsrun:latest-ARCH for the other

# The classic builder will do: COPY is the first step, or it would mistake the platform.
image-%:
	GOOS=linux GOARCH=$* $(GO_BUILD) -o bin/linux-$*/kmsrun ./cmd/kmsrun
	chmod 0755 bin/linux-$*/kmsrun
	docker build --platform linux/$* --label org.opencontainers.image.version='$(VERSION)' -f Dockerfile \
		-t $(IMAGE):latest$(if $(filter $*,$(shell go env GOHOSTARCH)),,-$*) bin/linux-$*

compose: image-$(shell go env GOHOSTARCH) ## an app, kmsrun and an emulator, under docker-compose
	CGO_ENABLED=0 GOOS=linux go build -o examples/compose/app ./examples/demo/app
	chmod 0755 examples/compose/app
	KMSRUN_IMAGE=$(IMAGE):latest $(or $(shell command -v docker-compose),docker compose) -f examples/compose/compose.yaml up --build

clean:
	rm -rf bin examples/compose/app
