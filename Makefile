# What to do with hardway. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help local test check sweep soak fleet mutations lint build deploy acceptance update tools

PATH := $(CURDIR)/target/venv/bin:$(PATH)
STACK ?= hardway
# Only the functions: in a release build the tests' dependencies must not lend them their features.
BUILD := cargo lambda build --release --arm64 --output-format zip --package functions

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

local: ## Build a cluster on this machine
	cargo run -- local

test: ## Run every test
	cargo test

check: ## Everything that CI checks
	.ci/run

sweep: ## One fault at every call of a run, each in every way
	SWEEP=full cargo test --test all sweep:: -- --nocapture

soak: ## More storms than cargo test tries: make soak SEEDS=1000 (FIRST_SEED=1)
	SEEDS=$(or $(SEEDS),1000) FIRST_SEED=$(or $(FIRST_SEED),1) cargo test --test all storms:: -- --nocapture

fleet: ## A fleet of a thousand accounts in virtual time: make fleet ACCOUNTS=1000
	ACCOUNTS=$(or $(ACCOUNTS),1000) cargo test --test all fleet::of_many -- --nocapture

mutations: ## Take away one safeguard at a time: the sweep and the storms must notice
	python3 tests/mutations.py

lint: ## Every linter
	.ci/lint

tools: ## Install cargo-lambda, the SAM CLI and the AWS CLI under target/
	@cargo run --quiet -- tools

build: tools ## Build and package the functions for AWS (arm64, release)
	$(BUILD)

# The SAM CLI does not read AWS_REGION, which the other tools do.
deploy: build ## Build, and deploy the stack (STACK=hardway): make deploy ARGS="--parameter-overrides …"
	cd infra && sam deploy --stack-name $(STACK) $(if $(AWS_REGION),--region $(AWS_REGION)) $(ARGS)

acceptance: build ## Try it on your AWS account and write a report: make acceptance ARGS="--region eu-west-1"
	cargo run --quiet -- acceptance $(ARGS)

update: tools ## Build and deploy one function: make update FUNCTION=vpc
	@test -n "$(FUNCTION)" || { echo "which one? make update FUNCTION=vpc"; exit 2; }
	$(BUILD) --bin $(FUNCTION)
	aws lambda update-function-code --function-name $(STACK)-$(FUNCTION) \
	  --zip-file fileb://target/lambda/$(FUNCTION)/bootstrap.zip --query LastUpdateStatus --output text
