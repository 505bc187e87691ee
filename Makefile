VERSION := $(shell git describe --tags --always --abbrev=12 --dirty 2>/dev/null || echo devel)
# The tag reads what the Go runtime keeps of the signals found ignored at the start; the
# linker has to be told to allow it. Releases are built so too.
LDFLAGS := -s -w -X main.version=$(VERSION) -checklinkname=0
TAGS    := kmsrun_exact
# The same bytes from the same commit, wherever it lies: no paths, and no state of the checkout but VERSION.
GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags '$(TAGS)' -ldflags '$(LDFLAGS)'
LINT    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CC_HERE := $(shell command -v gcc || command -v cc)

IMAGE   := kmsrun

FUZZTIME := 60s
STRESSTIME := 2m
STRESSRUNS := 200
STRESSLIMIT := 40m
SOAKRUNS := 1000
OUTAGETIME := 5m
SOAKTIME := 5m
# ONLY_LO runs a command where there is no network but lo, where that can be made (it takes
# root), and fails when anything in it wanted another address.
ONLY_LO := $(if $(filter 0,$(shell id -u)),$(shell unshare -n true 2>/dev/null && command -v ip >/dev/null && echo test/loopback.sh))

.PHONY: build demo test e2e-systemd vet lint skips fuzz stress soak outage sim bench deps image compose clean

build: ## the static binary, at bin/kmsrun
	$(GO_BUILD) -o bin/kmsrun ./cmd/kmsrun

demo: build ## a rotation from start to end, on the embedded emulator
	@go build -o bin/demo ./examples/demo && go build -o bin/demo-app ./examples/demo/app
	@bin/demo bin/kmsrun bin/demo-app examples/demo/kmsrun.yaml

test: vet lint skips ## all that a change must pass; the race detector needs a C compiler
	CGO_ENABLED=$(if $(CC_HERE),1,0) $(ONLY_LO) go test -parallel 4 $(if $(CC_HERE),-race) ./... # most tests wait for processes
	cd test/openapi && go test -count 1 ./... # go's cache does not see what they read of this module
	cd test/kubernetes && go test -count 1 ./...
	cd test/terraform && go test -count 1 ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5000x

vet:
	go vet ./...
	go vet -tags '$(TAGS)' ./internal/asfound
	GOARCH=arm64 go vet -tags '$(TAGS)' ./internal/...
	GOOS=darwin go build ./... # people write declarations on laptops
	cd test/openapi && go vet ./...
	cd test/terraform && go vet ./...
	cd test/kubernetes && go vet ./...
	@changes=$$(go fix -diff ./...); test -z "$$changes" || { echo "$$changes"; exit 1; }

lint:
	$(LINT) run ./...

skips: ## one loud line for each thing that is not here, and that some test wants
	$(if $(CC_HERE),,@echo 'SKIPPED: the race detector: no C compiler (make deps installs one)')
	$(if $(ONLY_LO),,@echo 'SKIPPED: that tests contact nothing but loopback: no network namespace can be made here')
	@command -v systemd-notify >/dev/null && command -v systemd-socket-activate >/dev/null || echo "SKIPPED: systemd's own tools as the program, and in front of kmsrun: no systemd-notify, or no systemd-socket-activate"
	@echo 'NOT HERE: units under a real systemd: make e2e-systemd, as root (make deps installs what it takes)'
	@command -v nginx >/dev/null || echo 'SKIPPED: rotation under a real nginx, beside a sidecar too: no nginx (make deps installs it)'
	@command -v age >/dev/null || echo 'SKIPPED: that age opens the sealed file: no age (make deps installs it)'
	@command -v promtool >/dev/null || echo 'SKIPPED: the alert rules and the dashboard in Prometheus: no promtool (make deps installs it)'
	@command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || echo 'SKIPPED: examples/compose: no docker-compose (make deps installs it)'
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || echo 'SKIPPED: rollback with a real PostgreSQL, and psql on a terminal: no PostgreSQL (make deps installs it)'
	@command -v aliyun >/dev/null || echo 'SKIPPED: the commands of the aliyun CLI against the emulator: no aliyun'
	@command -v tmux >/dev/null && command -v vi >/dev/null || echo 'SKIPPED: interactive programs on a terminal: no tmux, or no vi (make deps installs them)'
	@unshare --pid --fork --mount-proc true 2>/dev/null || echo 'SKIPPED: kmsrun as PID 1 of a namespace: none can be made here'
	@command -v java >/dev/null || echo "SKIPPED: Java's reading of properties files: no java"
	@command -v node >/dev/null || echo "SKIPPED: node's reading of dotenv files: no node"
	@docker info >/dev/null 2>&1 || echo "SKIPPED: the image, a pod with a sidecar, and docker's reading of env-files: no Docker engine answers"

fuzz: ## every fuzz target for FUZZTIME; in make test for a count of runs
	@test/fuzz.sh $(FUZZTIME) ./secret ./config ./emulator ./render ./internal/jmes

stress: ## the tests of processes and terminals STRESSRUNS times, or as often as STRESSLIMIT allows; publishers and the emulator killed while they write; every login, with tokens of seconds, for STRESSTIME
	@CGO_ENABLED=$(if $(CC_HERE),1,0) test/stress.sh $(STRESSRUNS) $(STRESSLIMIT) $(if $(CC_HERE),-race)
	KMSRUN_TEST_KILLS=200 go test -count 1 -timeout 10m -run '^TestKilled' -v ./render
	KMSRUN_TEST_KILLS=1000 go test -count 1 -timeout 20m -run '^TestKills$$' -v ./emulator
	KMSRUN_TEST_STRESS=$(STRESSTIME) go test -count 1 -timeout 20m -run '^TestLoginTypes$$' -v ./cmd/kmsrun

outage: ## KMS and STS killed at random while secrets rotate, for OUTAGETIME
	KMSRUN_TEST_OUTAGE=$(OUTAGETIME) go test -count 1 -timeout 90m -run '^TestKilledAtRandom$$' -v ./cmd/kmsrun

sim: ## fleets of up to 10,000 processes on the quota of one account, for minutes; rewrites the figures in docs/rotation.md
	KMSRUN_TEST_SIM=1 go test -count 1 -timeout 60m -run '^TestFleet$$' -v ./watch

soak: ## SOAKRUNS restarts on rotation, then SOAKTIME of everything that can happen to one kmsrun: nothing may grow, mix or get lost
	KMSRUN_TEST_SOAK=$(SOAKRUNS) go test -count 1 -timeout 60m -run '^(TestSoak|TestGoroutines)$$' -v ./cmd/kmsrun ./inject
	KMSRUN_TEST_CHAOS=$(SOAKTIME) go test -count 1 -timeout 60m -run '^TestChaos$$' -v ./cmd/kmsrun

e2e-systemd: build ## units with kmsrun in front, under a real systemd in a container of a minimal Debian; takes root
	test/e2e-systemd.sh

bench: ## start-up, size and memory beside a floor program; cost of one fetch, and of 1 to 1000 over TLS, of rendering 500 items, of publishing 100 files; from a poke to the signal; 50 restarts under load; the emulator on one core
	go test -run '^$$' -bench . -benchmem ./kms ./render
	go test -run '^$$' -bench . ./watch
	go test -run '^$$' -bench . ./cmd/kmsrun
	go test -run '^$$' -bench . -benchmem -cpu 1 ./emulator

deps: ## what the tests want besides Go, make and git (Debian)
	apt-get update -q
	apt-get install -qy --no-install-recommends gcc libc6-dev iproute2 nginx-light postgresql procps tmux vim-tiny age prometheus docker-compose systemd systemd-container debootstrap

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
