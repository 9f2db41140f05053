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
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from convert import Library  # noqa: E402
from figures import LIBRARIES, compare, write  # noqa: E402
from peers import redis  # noqa: E402
from run import Ports, Run, report  # noqa: E402

LIMIT = 120  # seconds for a file of specs
# Other libraries of the folder that one needs and the gateway has not.
BESIDE = {
    "lua-resty-acme": ["lua-resty-openssl"],
    "lua-resty-aws": ["Penlight", "luatz", "lua-resty-luasocket"],
    "lua-resty-healthcheck": ["lua-resty-worker-events", "lua-resty-events", "Penlight"],
    "lua-resty-jwt": ["lua-resty-hmac"],
    "lua-resty-openidc": ["lua-resty-session", "lua-resty-jwt"],
    "lua-resty-radixtree": ["lua-resty-ipmatcher"],
    "lua-resty-mail": ["Penlight"],
    "sky-jwt": ["lua-resty-hmac", "lua-resty-string"],
}
# Specs that are plain programs which fail by an error.
PROGRAMS = {"Penlight": "tests/test-*.lua"}
# Left out whole, and why.
WITHOUT = {}
# Files of blocks or specs that need what a test machine does not have, by the beginning of their names.
WANT = {}


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
    options = argparse.Namespace(checkout=checkout, files=[], binary=args.binary, keep=None, jobs=args.jobs, retry=400,
                                 lib=":".join(behind))
    results = Run(options).run()
    for r in results:
        tally.add(not (r.skipped or r.wrong), bool(r.wrong and not r.skipped), bool(r.skipped))
        if r.skipped:
            tally.skips[r.skipped] += 1
        elif r.wrong:
            tally.failed.append("%s:%d %s" % (r.file, r.number, r.name))
    if args.reports:
        report(results, "%s/%s.blocks" % (args.reports, os.path.basename(checkout)))


def specs(args, checkout, behind, servers, tally):
    """The library's busted specs, each file in a process of its own."""
    name = os.path.basename(checkout)
    files = sorted(glob.glob(checkout + "/**/*_spec.lua", recursive=True))
    env = {k: v for k, v in os.environ.items() if not k.startswith("KONG_")}
    env["LUA_PATH"] = Library(checkout, behind, {}).path() + ";" + checkout + "/spec/?.lua;" + checkout + "/spec/?/init.lua"
    env["REDIS_PORT"] = servers["redis"]
    said = []
    with tempfile.TemporaryDirectory() as made:
        for program in sorted(glob.glob(checkout + "/" + PROGRAMS[name]) if name in PROGRAMS else []):
            path = "%s/%s_spec.lua" % (made, os.path.basename(program))
            with open(path, "w") as f:
                f.write("it(%r, function() assert(loadfile(%r))() end)\n" % (os.path.basename(program), program))
            files.append(path)
        for file in files:
            short = os.path.relpath(file, checkout) if file.startswith(checkout) else os.path.basename(file)
            try:
                r = subprocess.run([args.binary, "spec", file], cwd=checkout, env=env, capture_output=True, timeout=LIMIT)
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
        tally, begun = run(args, args.folder + "/" + name), time.monotonic()
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
    if not os.path.isdir(checkout) or os.path.basename(checkout) in WITHOUT:
        return tally
    behind = []
    for other in BESIDE.get(os.path.basename(checkout), []):
        at = args.folder + "/" + other
        behind += [f for f in (at + "/lib", at + "/lua", at) if os.path.isdir(f)]
    blocks(args, checkout, behind, tally)
    if glob.glob(checkout + "/**/*_spec.lua", recursive=True) or os.path.basename(checkout) in PROGRAMS:
        ports, work = Ports(21000 + os.getpid() * 37 % 10000), tempfile.mkdtemp(prefix="moongate-libs")
        port = str(ports())
        server = redis(work, port)
        try:
            specs(args, checkout, behind, {"redis": port}, tally)
        finally:
            if server:
                server.terminate()
                server.wait()
            shutil.rmtree(work, ignore_errors=True)
    return tally


if __name__ == "__main__":
    main()
