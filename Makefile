VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
LINT    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# The race detector needs a C compiler.
RACE    := $(if $(shell command -v gcc || command -v cc),-race)

.PHONY: build demo test lint vet bench deps image clean

build: ## the static binary, at bin/kmsrun
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kmsrun ./cmd/kmsrun

demo: build ## a rotation from start to end, on the embedded emulator
	@go build -o bin/demo ./examples/demo && go build -o bin/demo-app ./examples/demo/app
	@bin/demo bin/kmsrun bin/demo-app examples/demo/kmsrun.yaml

test: vet lint build ## everything that a change must pass
	$(if $(RACE),,@echo 'SKIPPED: the race detector: no C compiler (make deps installs one)')
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) ./... 2>&1
	@./test/skipped

vet:
	go vet ./...
	@test -z "$$(go fix -diff ./... | tee /dev/stderr)"

lint:
	$(LINT) run ./...

bench: build ## start-up, size and memory beside a floor program; cost of a fetch
	go test -run '^$$' -bench . -benchmem ./kms ./cmd/kmsrun

deps: ## what the tests want besides Go, make and git
	apt-get update -q
	apt-get install -qy --no-install-recommends gcc libc6-dev nginx-light openssl

image: build ## FROM scratch, tagged kmsrun:latest
	docker build -t kmsrun:latest .

clean:
	rm -rf bin
