#!/usr/bin/env python3
"""Runs Lua libraries' own tests on the gateway: Test::Nginx blocks by run.py, busted specs by `moongate spec`.

    tests/blocks/libs.py [options] FOLDER [LIBRARY...]

FOLDER has checkouts of libraries, one a folder; LIBRARY is the whole name of one. A library's modules come before the
gateway's. Options:

    --binary PATH    target/debug/moongate
    --reports DIR    writes there what failed, a file for each library
    --figures PATH   compares with the section Libraries of this table (tests/blocks/figures.md)
    --record         writes the rows of these libraries anew instead
    --jobs N         gateways at once, 2

Nothing of a checkout's text is kept.
"""

import argparse
import collections
import contextlib
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from convert import Library, lua  # noqa: E402
from figures import LIBRARIES, compare, write  # noqa: E402
from peers import Memcached, redis  # noqa: E402
from ports import Alone  # noqa: E402
from run import Run, report  # noqa: E402

LIMIT = 120  # seconds for a file of specs
# Other libraries of the folder that one needs and the gateway has not.
BESIDE = {
    "lua-resty-acme": ["lua-resty-openssl"],
    "lua-resty-aws": ["Penlight", "luatz", "lua-resty-luasocket"],
    "lua-resty-gcp": ["lua-resty-luasocket", "lua-resty-jwt", "lua-resty-hmac"],
    # of which it takes 0.3.3 only
    "lua-resty-healthcheck": ["lua-resty-worker-events-0.3.3", "lua-resty-timer", "Penlight"],
    "lua-resty-jwt": ["lua-resty-hmac"],
    "lua-resty-openidc": ["lua-resty-session", "lua-resty-jwt"],
    "lua-resty-radixtree": ["lua-resty-ipmatcher"],
    "lua-resty-session": ["lua-resty-memcached", "lua-resty-mysql"],
    "lua-resty-ljsonschema": ["neturl", "Penlight"],
    "lua-resty-mail": ["Penlight"],
    "sky-jwt": ["lua-resty-hmac", "lua-resty-string"],
}
# Tests that are plain programs, which fail by an error or an exit, with the folder that they run in.
PROGRAMS = {"Penlight": ("tests/test-*.lua", "."), "lua-cjson": ("tests/test.lua", "tests"),
            "lua-protobuf": ("test.lua", ".")}
PROGRAM = """it(%s, function()
  local exit, done = os.exit, {}
  os.exit = function(code)
    error((code == nil or code == true or code == 0) and done or "exit with " .. tostring(code), 0)
  end
  arg = { [0] = %s }
  local ok, err = xpcall(assert(loadfile(arg[0])), function(e)
    return e == done and e or debug.traceback(tostring(e))
  end)
  os.exit = exit
  if not ok and err ~= done then
    error(err, 0)
  end
end)
"""
# Blocks of a program and what it prints.
PRINTED = """it(%s, function()
  local out = {}
  local env = setmetatable({ print = function(...)
    local line = { ... }
    for i = 1, select("#", ...) do
      line[i] = tostring(line[i])
    end
    out[#out + 1] = table.concat(line, "\\t") .. "\\n"
  end }, { __index = _G })
  local f = assert(loadstring(%s, "=block"))
  setfenv(f, env)()
  assert.equal(%s, table.concat(out))
end)
"""
# Settings of the gateway, as variables of the environment.
SETTINGS = {
    "lua-resty-session": {"KONG_NGINX_HTTP_LUA_SHARED_DICT": "sessions 1m"},
    # rounds of the same: two, or its files last for minutes
    "lua-resty-timer-ng": {"TIMER_SPEC_TEST_ROUND": "2"},
}
# Redis as tests look for it (ports and passwords), and those that look for memcached where it is by default.
REDIS = {"lua-resty-session": [(6379, "password")], "lua-resty-acme": [(6379, ""), (6380, "passdefault")]}
MEMCACHED = ["lua-resty-session"]
# Blocks with servers at the same ports as others of theirs: one gateway at a time.
SAME_PORTS = ["lua-resty-healthcheck"]
# Files that are left out, by a regular expression, and why.
WITHOUT = {
    "lua-resty-acme": [("storage/(consul|etcd|vault)", "Consul, etcd, Vault"), (r"e2e|autossl", "an ACME server")],
    "lua-resty-consul": [(".", "Consul")],
    "lua-resty-kafka": [(".", "a Kafka broker")],
    "lua-resty-mail": [("integration", "a mail server")],
    "lua-resty-mysql": [(".", "a MySQL server")],
    "lua-resty-openidc": [(".", "specs that start nginx themselves")],
    "lua-resty-rabbitmqstomp": [(".", "RabbitMQ")],
}


class Tally:
    """What became of a library's tests."""

    def __init__(self):
        self.counts, self.skips, self.failed = [0, 0, 0], collections.Counter(), []

    def add(self, passed, failed, skipped):
        for i, n in enumerate((passed, failed, skipped)):
            self.counts[i] += n


def blocks(args, checkout, behind, tally):
    """The library's Test::Nginx blocks."""
    if not glob.glob(checkout + "/t/**/*.t", recursive=True):
        return
    jobs = 1 if os.path.basename(checkout) in SAME_PORTS else args.jobs
    options = argparse.Namespace(checkout=checkout, files=[], binary=args.binary, keep=None, jobs=jobs, retry=400,
                                 lib=":".join(behind), without=WITHOUT.get(os.path.basename(checkout), []))
    results = Run(options).run()
    for r in results:
        tally.add(not (r.skipped or r.wrong), bool(r.wrong and not r.skipped), bool(r.skipped))
        if r.skipped:
            tally.skips[r.skipped] += 1
        elif r.wrong:
            tally.failed.append("%s:%d %s" % (r.file, r.number, r.name))
    if args.reports:
        report(results, "%s/%s.blocks" % (args.reports, os.path.basename(checkout)))


def specs(args, checkout, behind, tally):
    """The library's busted specs, each file in a process of its own."""
    name = os.path.basename(checkout)
    files = sorted(glob.glob(checkout + "/**/*_spec.lua", recursive=True))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("KONG_", "AWS_", "LUA_"))}
    more = "".join(";%s/%s/?.lua" % (checkout, folder) for folder in ("spec", "tests/lua"))
    env["LUA_PATH"] = Library(checkout, behind, {}).path() + more
    command = [args.binary, "spec", "-o", "plainTerminal"]
    env.update(SETTINGS.get(name, {}))
    said = []
    with tempfile.TemporaryDirectory() as made:
        if os.path.exists(checkout + "/spec/helpers.lua"):
            # its own, and not Kong's
            with open(made + "/own_helpers.lua", "w") as f:
                f.write('package.loaded["spec.helpers"] = dofile("spec/helpers.lua")\n')
            command += ["--helper", made + "/own_helpers.lua"]
        pattern, folder = PROGRAMS.get(name, (None, "."))
        for program in sorted(glob.glob(checkout + "/" + pattern)) if pattern else []:
            path = "%s/%s_spec.lua" % (made, os.path.basename(program))
            with open(path, "w") as f:
                f.write(PROGRAM % (lua(os.path.basename(program)), lua(program)))
            files.append(path)
        files += printed(checkout, made)
        for file in files:
            cwd = checkout if file.startswith(checkout) else checkout + "/" + folder
            short = os.path.relpath(file, checkout) if file.startswith(checkout) else os.path.basename(file)
            without = next((why for part, why in WITHOUT.get(name, []) if re.search(part, short)), None)
            if without:
                n = len(re.findall(r"(?m)^\s*it\(", open(file, encoding="latin1").read()))
                tally.add(0, 0, n)
                tally.skips[without] += n
                continue
            try:
                r = subprocess.run(command + [file], cwd=cwd, env=env, capture_output=True, timeout=LIMIT)
                out = (r.stdout + r.stderr).decode("latin1")
            except subprocess.TimeoutExpired as e:
                out = ((e.stdout or b"") + (e.stderr or b"")).decode("latin1") + "\n(longer than %d s)\n" % LIMIT
            n = [sum(int(x) for x in re.findall(r"(?m)\b(\d+) %s(?:e?s)?\b" % word, summary(out)))
                 for word in ("success", "failure", "error", "pending")]
            if not summary(out):
                n = [0, 0, 1, 0]
            tally.add(n[0], n[1] + n[2], n[3])
            if n[3]:
                tally.skips["pending"] += n[3]
            if n[1] + n[2]:
                tally.failed.append("%s: %d of %d" % (short, n[1] + n[2], sum(n)))
                said.append("=" * 100 + "\n" + short + "\n" + out[-20000:])
    if args.reports and said:
        with open("%s/%s.specs" % (args.reports, name), "w", encoding="latin1", errors="replace") as f:
            f.write("".join(said))


def printed(checkout, made):
    """Specs for the files of blocks that have `--- lua` and `--- out`."""
    specs = []
    for file in glob.glob(checkout + "/t*/*.t"):
        with open(file, encoding="latin1") as f:
            data = f.read().partition("__DATA__\n")[2]
        found = re.findall(r"(?ms)^=== ([^\n]*)\n--- lua\n(.*?)^--- out\n(.*?)(?=^===|\Z)", data)
        if not found:
            continue
        path = "%s/%s_spec.lua" % (made, os.path.basename(file))
        with open(path, "w", encoding="latin1") as f:
            for title, program, out in found:
                f.write(PRINTED % (lua(title), lua(program), lua(out.rstrip("\n") + "\n")))
        specs.append(path)
    return specs


def summary(out):
    found = re.findall(r"(?m)^\d+ success(?:es)? / .*$", out)
    return found[-1] if found else ""


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder")
    a.add_argument("libraries", nargs="*")
    a.add_argument("--binary", default=HERE + "/../../target/debug/moongate")
    a.add_argument("--reports")
    a.add_argument("--figures")
    a.add_argument("--record", action="store_true")
    a.add_argument("--jobs", type=int, default=2)
    args = a.parse_args()
    args.binary, args.folder = os.path.realpath(args.binary), os.path.realpath(args.folder)
    if args.reports:
        os.makedirs(args.reports, exist_ok=True)
    table, skips = collections.OrderedDict(), collections.Counter()
    print("%-34s %6s %6s %7s" % ("library", "passed", "failed", "skipped"))
    for name in args.libraries or sorted(os.listdir(args.folder), key=str.lower):
        tally = run(args, args.folder + "/" + name)
        if not any(tally.counts):
            continue
        table[name] = tally.counts
        skips.update(tally.skips)
        print("%-34s %6d %6d %7d" % (name, *tally.counts))
        for why, n in tally.skips.most_common(6):
            print("    %4d skipped: %s" % (n, why))
        for failed in tally.failed:
            print("    failed: " + failed, flush=True)
    total = [sum(t[i] for t in table.values()) for i in range(3)]
    print("%-34s %6d %6d %7d" % ("%d libraries" % len(table), *total))
    wrong = []
    if args.figures and args.record:
        write(args.figures, LIBRARIES, None if args.libraries else skips, table, True)
    elif args.figures:
        wrong = compare(args.figures, LIBRARIES, table, True)
    for w in wrong:
        print("not as %s says: %s" % (args.figures, w))
    sys.exit(1 if wrong else 0)


def run(args, checkout):
    """All tests of one library."""
    tally = Tally()
    if not os.path.isdir(checkout):
        return tally
    behind = []
    for other in BESIDE.get(os.path.basename(checkout), []):
        at = args.folder + "/" + other
        behind += [f for f in (at + "/lib", at + "/lua", at) if os.path.isdir(f)]
    name, servers = os.path.basename(checkout), []
    # servers where tests look for them: one run at a time
    alone = Alone("servers") if name in REDIS or name in MEMCACHED else contextlib.nullcontext()
    with alone, tempfile.TemporaryDirectory(prefix="moongate-libs") as work:
        try:
            for port, password in REDIS.get(name, []):
                servers.append(redis(work, port, password))
            if name in MEMCACHED:
                Memcached(11211)
            blocks(args, checkout, behind, tally)
            specs(args, checkout, behind, tally)
        except OSError as e:
            print("    tests of %s: %s" % (name, e))
        finally:
            for server in servers:
                if server:
                    server.terminate()
                    server.wait()
    return tally


if __name__ == "__main__":
    main()
