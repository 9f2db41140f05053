#!/bin/bash
# How much of Kong's own unit suites passes here: run.sh CHECKOUT [BINARY] runs the suites of files.txt, or
# those whose path matches the pattern in ONLY, and prints a table; then schemas.lua. CHECKOUT is a checkout
# of Kong (3.10). Each file runs in a process of its own, in a tree with only Kong's spec/ and
# kong/plugins/: everything else that it requires has to be the gateway's. Fails when a file without a
# reason does not pass, or one with a reason passes fewer tests than files.txt says, or all.
set -eu
[ $# -ge 1 ] || { echo "usage: $0 CHECKOUT [BINARY]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$1" && pwd)
binary=$(realpath "${2:-$here/../../target/debug/moongate}")
limit=${LIMIT:-120}
if [ -n "${MOONGATE_PLUGIN_SCHEMAS:-}" ]; then
    MOONGATE_PLUGIN_SCHEMAS=$(realpath "$MOONGATE_PLUGIN_SCHEMAS")
    export MOONGATE_PLUGIN_SCHEMAS
fi
[ -d "$checkout/spec/01-unit" ] || { echo "$checkout is no checkout of Kong" >&2; exit 2; }

tree=$(mktemp -d)
redis=""
trap 'rm -rf "$tree"; [ -z "$redis" ] || kill "$redis" 2>/dev/null || true' EXIT
mkdir "$tree/kong"
ln -s "$checkout/spec" "$tree/spec"
ln -s "$checkout/kong/plugins" "$tree/kong/plugins"
cd "$tree"

# The suites of Redis policies have one to talk to where Redis is installed.
if [ -z "${KONG_SPEC_TEST_REDIS_PORT:-}" ] && command -v redis-server >/dev/null; then
    export KONG_SPEC_TEST_REDIS_HOST=127.0.0.1 KONG_SPEC_TEST_REDIS_PORT=26379
    redis-server --bind 127.0.0.1 --port 26379 --save "" --dir "$tree" >/dev/null &
    redis=$!
fi

# The count before a word of the summary line ("12 successes / 0 failures / ...").
count() {
    sed -nE "s/.*\b([0-9]+) $1(e?s)?\b.*/\1/p" <<<"$summary"
}

wrong=""
files=0 whole=0 passes=0 failures=0 errors=0 pendings=0
printf '%-78s %6s %6s %6s %7s  %s\n' file passed failed errors pending reason
while read -r file least reason; do
    case "$file" in "" | "#"*) continue ;; esac
    [[ "$file" =~ ${ONLY:-.} ]] || continue
    code=0
    timeout "$limit" "$binary" spec "$file" >out 2>&1 || code=$?
    summary=$(grep -aE '^[0-9]+ success(es)? / ' out | tail -n 1 || true)
    passed=$(count success) failed=$(count failure) error=$(count error) pending=$(count pending)
    note=$reason
    if [ "$code" = 124 ]; then
        note="longer than $limit s; $reason"
    elif [ -z "$summary" ]; then
        note="ended with $code; $reason"
    fi
    passed=${passed:-0} failed=${failed:-0} error=${error:-0} pending=${pending:-0}
    files=$((files + 1)) passes=$((passes + passed)) failures=$((failures + failed))
    errors=$((errors + error)) pendings=$((pendings + pending))
    if [ "$code" = 0 ] && [ "$passed" -gt 0 ]; then
        whole=$((whole + 1))
        [ -z "$reason" ] || wrong="$wrong\n$file passes now"
    elif [ -z "$reason" ]; then
        wrong="$wrong\n$file does not pass"
    fi
    [ "$passed" -ge "${least:-1}" ] || wrong="$wrong\n$file: $passed passed, not $least"
    printf '%-78s %6d %6d %6d %7d  %s\n' "$file" "$passed" "$failed" "$error" "$pending" "$note"
    if [ -n "${VERBOSE:-}" ] && [ "$code" != 0 ]; then
        grep -avE '^\[[a-z]+\]|^[-+*.]*$' out | cut -c1-300 | head -n "$VERBOSE"
    fi
done <"$here/files.txt"
printf '%-78s %6d %6d %6d %7d\n' "$whole of $files files whole" "$passes" "$failures" "$errors" "$pendings"
if [ -z "${ONLY:-}" ]; then
    "$binary" spec "$here/schemas.lua" 2>&1 || wrong="$wrong\nschemas.lua does not pass"
fi
[ -z "$wrong" ] || { printf 'not as files.txt says:%b\n' "$wrong"; exit 1; }
