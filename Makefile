.PHONY: run test kong blocks bench bench-tls bench-calls fmt callgrind

# Builds and starts the gateway on 127.0.0.1:8000 with config.json and the plugins in lua/.
run:
	cargo build --release
	target/release/moongate run config.json

# All tests; the last line lists the requirement numbers that no test carries (none).
test:
	tests/nginx.sh
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test
	target/debug/moongate spec spec/
	tests/requirements.sh

# Kong's own unit suites about configuration and plugins, and all plugins' schemas. KONG is a checkout of Kong 3.10;
# MOONGATE_PLUGIN_SCHEMAS may name a list of the defaults to compare with.
kong:
	cargo build
	tests/kong/run.sh $(KONG)

# Others' test blocks on the gateway, compared with tests/blocks/figures.md. KONG, NGX_LUA and RESTY_CORE are checkouts of
# Kong 3.10, lua-nginx-module and lua-resty-core; LIBS is a folder with checkouts of Lua libraries, whose specs are run,
# too. Those that are not given are left out.
blocks:
	cargo build
	for checkout in $(KONG) $(NGX_LUA) $(RESTY_CORE); do \
		tests/blocks/run.py --figures tests/blocks/figures.md $$checkout || exit 1; done
	[ -z "$(LIBS)" ] || tests/blocks/libs.py --figures tests/blocks/figures.md $(LIBS)

# Side by side with other proxies. BENCH is the folder of the benchmark (its run.sh).
bench:
	cargo build --release
	GATEWAY_CMD=$(CURDIR)/tests/bench/gateway $(BENCH)/run.sh

# TLS to upstreams with a hundred client certificates, beside nginx; wants wrk, nginx and its Lua module.
bench-tls:
	cargo build --release
	tests/bench/tls/run.py

# What one call of the hot functions costs, beside nginx with its Lua module.
bench-calls:
	cargo build --release
	tests/bench/calls/run.py --markdown

# User instructions per request, by workload, into tests/bench/instructions.md.
callgrind:
	cargo build --release
	tests/bench/callgrind.sh

fmt:
	cargo fmt
