# Everything a person types. Each target sets up what it needs.
.PHONY: demo test chaos chaos-peers bench bench-quick bench-watch bench-setup fuzz setup fmt docs

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

# Every scenario of docs/reliability.md again and again for CHAOS_SECONDS, each time at other moments; prints how it goes and
# the tables of all rounds. CHAOS_ONLY=TEXT runs those with that text in their names.
chaos:
	@scripts/setup
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-1800} cargo test --locked --test reliability -- --nocapture

# Every table of speed and size, from the release binary, beside the peers; takes about an hour and wants the machine
# for itself. `make bench-quick` runs the three most important rows once, with the peers that are there.
bench: bench-setup
	bench/peers/setup
	cargo run --release -p streamgauge-bench

bench-quick: bench-setup
	cargo run --release -p streamgauge-bench -- quick

# What the Go Collector loses and keeps where ours is tested: docs/reliability-peers.md. Takes about a quarter of an hour.
chaos-peers: bench-setup
	bench/peers/setup go
	cargo run --release -p streamgauge-bench -- chaos --document

# What watching Redis costs, beside redis_exporter: docs/redis-cost.md. Takes about five minutes.
bench-watch: bench-setup
	bench/peers/setup redis_exporter
	cargo run --release -p streamgauge-bench -- watch --document

bench-setup:
	@scripts/setup
	cargo build --release --bin streamgauge

# Every fuzz function for FUZZ_SECONDS each.
fuzz:
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} scripts/fuzz

setup:
	@scripts/setup

fmt:
	cargo fmt --all
