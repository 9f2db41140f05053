#!/usr/bin/env bash
# User instructions per request and workload, by callgrind on the release binary. Counting begins after a warm-up of
# N requests, so that neither starting up nor the JIT compiler counts, and ends after N more. Writes instructions.md
# beside this script. usage: callgrind.sh [N]; KEEP names a directory that the profiles are copied to
# (callgrind_annotate reads them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
n=${1:-2000}
base=${BENCH_PORT:-27000}
upstream=$((base + 100)) routes=$((base + 110))
binary=${MOONGATE_BINARY:-$here/../../target/release/moongate}
[ -x "$binary" ] || { echo "build it first: cargo build --release" >&2; exit 1; }
for tool in valgrind nginx python3; do command -v $tool >/dev/null || { echo "missing: $tool" >&2; exit 1; }; done
work=$(mktemp -d)
pids=()
cleanup() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"; }
trap cleanup EXIT

# The upstream answers from nginx, as in the benchmark.
mkdir -p "$work/up"
chmod 755 "$work" "$work/up"    # nginx's workers are another user
head -c 65536 /dev/zero | tr '\0' y >"$work/up/64k.txt"
{
    echo "worker_processes 1; daemon off; pid $work/up/nginx.pid; error_log $work/up/error.log; events {}"
    echo "http { access_log off; keepalive_requests 1000000000;"
    for d in client_body proxy fastcgi uwsgi scgi; do echo "${d}_temp_path $work/up/$d;"; done
    echo "server {"
    for port in $upstream $(seq "$routes" $((routes + 15))); do echo "listen 127.0.0.1:$port;"; done
    echo "location / { return 200 '$(head -c 128 /dev/zero | tr '\0' x)'; }"
    echo "location = /64k.txt { root $work/up; } } }"
} >"$work/up/nginx.conf"
nginx -p "$work/up" -e "$work/up/error.log" -c "$work/up/nginx.conf" &
pids+=($!)

cat >"$work/client.py" <<'PY'
import socket, sys, time
port, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for _ in range(600):
    try:
        s = socket.create_connection(("127.0.0.1", port)); break
    except OSError:
        time.sleep(0.1)
f = s.makefile("rb")
for i in range(count):
    s.sendall((f"GET {path}?n={i % 16} HTTP/1.1\r\nHost: bench.local\r\nUser-Agent: wrk\r\nAccept: */*\r\n"
               f"x-api-key: key-{i % 16 * 60 + 1:04d}\r\nx-route: r{i % 16}\r\nx-remove: please\r\n"
               f"x-internal: secret\r\n\r\n").encode())
    line, length = f.readline(), 0
    assert b" 200 " in line, line
    while (h := f.readline()) != b"\r\n":
        if h.lower().startswith(b"content-length:"):
            length = int(h.split(b":")[1])
    assert len(f.read(length)) == length
PY

# Instructions that N requests of workload $1 take.
count() {
    local dir=$work/$1 path=/bench
    [ "$1" = W5 ] && path=/64k.txt
    mkdir -p "$dir"
    (
        cd "$dir"
        BENCH_WORKLOAD=$1 BENCH_LISTEN=127.0.0.1:$base BENCH_UPSTREAM=127.0.0.1:$upstream BENCH_ROUTES=$routes \
            MOONGATE_BINARY=$binary \
            MOONGATE_UNDER="valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file=$dir/out" \
            exec "$here/gateway" >"$dir/log" 2>&1
    ) &
    local pid=$!
    python3 "$work/client.py" "$base" "$n" "$path" >&2 || { cat "$dir/log" "$dir/error.log" >&2; kill -9 $pid; return 1; }
    callgrind_control -i on $pid >/dev/null
    python3 "$work/client.py" "$base" "$n" "$path" >&2
    callgrind_control -i off $pid >/dev/null
    kill -QUIT $pid
    wait $pid || true
    [ -z "${KEEP:-}" ] || cat "$dir"/out* >"$KEEP/callgrind.$1"
    cat "$dir"/out* | awk '/^(summary|totals):/ && $2 > most { most = $2 } END { print most + 0 }'
}

out=$here/instructions.md
{
    echo "User instructions per request by callgrind (\`tests/bench/callgrind.sh\`): $n requests over one connection,"
    echo "one worker, after as many to warm up."
    echo
    echo "| workload | instructions per request |"
    echo "|---|--:|"
    for w in W0 W1 W2 W3 W5; do
        echo "| $w | $(($(count $w) / n)) |"
    done
} | tee "$out.new"
mv "$out.new" "$out"
