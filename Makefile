# Everything a person types. Each target sets up what it needs.
.PHONY: demo test bench fuzz setup fmt docs

# The demo starts soonest from the profile the tests use; set PROFILE=fast for an optimised one.
PROFILE ?= dev

# The main job on a real Redis: REDIS_URL when set, else a private redis-server.
demo:
	@scripts/setup demo
	cargo run --profile $(PROFILE) --bin streamgauge -- demo

# All set-up, then every check and every test, in one build profile.
test:
	@scripts/setup
	@scripts/check

# The table of speed and size, from an optimised binary.
bench:
	@scripts/setup
	cargo build --profile fast --bin streamgauge
	cargo run --profile fast -p streamgauge-bench

# Every fuzz function for FUZZ_SECONDS each.
fuzz:
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} scripts/fuzz

setup:
	@scripts/setup

fmt:
	cargo fmt --all
