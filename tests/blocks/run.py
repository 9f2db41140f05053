#!/usr/bin/env python3
"""Runs Test::Nginx blocks of a checkout on the gateway and says what passes.

    tests/blocks/run.py [options] CHECKOUT [FILE...]

CHECKOUT is one of Kong (its t/01-pdk is run), lua-nginx-module or lua-resty-core (t/*.t), or with --lib that of a Lua
library (libs.py runs a folder of them); FILE is a part of a file's name, perhaps with numbers of blocks
(`t/043-shdict.t:3,5`). Wants perl and the gateway's binary. Options:

    --lib PATH       a library's checkout: its modules come before the gateway's, and those of PATH, folders of modules
                     with `:` between them, behind it

    --binary PATH    target/debug/moongate
    --report PATH    writes each failure there with what was expected and what came
    --figures PATH   compares with this table (tests/blocks/figures.md); fails when a file passes fewer than it says
    --record         writes the table anew instead
    --keep DIR       works in DIR and leaves it there (a folder of its own otherwise, removed)
    --jobs N         gateways at once, 2
    --retry N        how many blocks are run again at most (more than that, and none is)

A block is converted (convert.py) when its configuration needs no more than locations and Lua; others are counted as
skipped, with the reason. Blocks share gateways as far as their configurations allow; one that fails in company is run
again alone, and only that counts. Nothing of a checkout's text is kept.
"""

import argparse
import collections
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from checks import Checker, Perl  # noqa: E402
from convert import Block, Library, Skip  # noqa: E402
from debug_lines import DebugLines  # noqa: E402
from figures import compare, suite, write  # noqa: E402
from gateway import Gateway  # noqa: E402
from peers import Front, Memcached, OneAnswer, OneDatagram, black_hole, redis, relay  # noqa: E402
from ports import Ports  # noqa: E402
from wire import exchange, parse, requests  # noqa: E402

BATCH = 40
# Sections whose meaning is another program's or another protocol's.
FOREIGN = {
    "post_main_config": "main_config", "must_die": "nginx must not start",
    "stream_config": "the stream module", "stream_server_config": "the stream module",
    "http2": "HTTP/2", "http3": "HTTP/3", "http09": "HTTP/0.9", "curl": "curl", "curl_protocol": "curl",
    "init": "a section init", "reload_fails": "reload", "SKIP": "marked SKIP",
    "shutdown_error_log": "the log at shutdown", "no_shutdown_error_log": "the log at shutdown",
}


class Result:
    """What became of a block."""

    def __init__(self, file, name, number):
        self.file, self.name, self.number = file, name, number
        self.skipped, self.wrong, self.log = None, None, []

    def hopeless(self):
        """Whether it would fail alone, too."""
        return any("not supported: " in line for line in self.log)


def other_version(sign, version):
    """Whether nginx 1.25.3, which Kong 3.10 has, is so."""
    ours, theirs = (1, 25, 3), tuple(int(n) for n in version.strip(".").split("."))
    return {"<": ours < theirs, "<=": ours <= theirs, ">": ours > theirs, ">=": ours >= theirs,
            "==": ours == theirs}[sign]


def seconds(text, default):
    if text is None:
        return default
    m = re.match(r"\s*([\d.]+)\s*(ms|s)?", str(text))
    return float(m.group(1)) / (1000 if m.group(2) == "ms" else 1) if m else default


class Run:
    """One run over a checkout."""

    def __init__(self, args):
        self.args = args
        self.checkout = os.path.realpath(args.checkout)
        self.work = os.path.realpath(args.keep) if args.keep else tempfile.mkdtemp(prefix="moongate-blocks")
        os.makedirs(self.work, exist_ok=True)
        self.ports, self.perls, self.gateways = Ports(), threading.local(), 0
        self.results, self.debug = [], DebugLines(self.checkout)
        self.memcached = Memcached(self.ports())
        self.silent = black_hole("127.0.0.2", 12345)
        port = self.ports()
        self.redis = redis(self.work, port)
        self.env = {"TEST_NGINX_MEMCACHED_PORT": str(self.memcached.port), "TEST_NGINX_REDIS_PORT": str(port),
                    "TEST_NGINX_RESOLVER": "127.0.0.1"}
        self.library = None
        if args.lib is not None:
            self.library = Library(self.checkout, [f for f in args.lib.split(":") if f],
                                   {"6379": str(port), "11211": str(self.memcached.port)})

    def perl(self):
        if not hasattr(self.perls, "one"):
            self.perls.one = Perl()
        return self.perls.one

    def files(self):
        """The files, each with the numbers of blocks that are wanted (None for all)."""
        under = "t/01-pdk" if os.path.isdir(self.checkout + "/t/01-pdk") else "t"
        deep = under == "t/01-pdk"
        deep = deep or self.library
        found = sorted(glob.glob(self.checkout + "/" + under + ("/**/*.t" if deep else "/*.t"), recursive=True))
        if under == "t" and not self.library:
            found += sorted(glob.glob(self.checkout + "/t/02*/*.t"))
        out = []
        for path in found:
            name = os.path.relpath(path, self.checkout)
            if not self.args.files:
                out.append((name, None))
            for wanted in self.args.files:
                part, _, numbers = wanted.partition(":")
                if part in name:
                    out.append((name, {int(n) for n in numbers.split(",")} if numbers else None))
        return out

    def dump(self, file):
        env = {k: v for k, v in os.environ.items() if not k.startswith("TEST_NGINX_")}
        env.update(self.env)
        r = subprocess.run(["perl", HERE + "/dump.pl", file], cwd=self.checkout, env=env, capture_output=True)
        if r.returncode or not r.stdout:
            return None, r.stderr.decode("latin1").strip().split("\n")[0][:100]
        return json.loads(r.stdout), None

    def collect(self):
        """All blocks that can be run."""
        blocks = []
        for file, numbers in self.files():
            dumped, why = self.dump(file)
            if dumped is None:
                r = Result(file, "the file", 0)
                r.skipped = "perl cannot run the file: " + why
                self.results.append(r)
                continue
            without = next((why for part, why in self.args.without if re.search(part, file)), None)
            for n, source in enumerate(dumped["blocks"], 1):
                if numbers and n not in numbers:
                    continue
                r = Result(file, source["name"], n)
                self.results.append(r)
                if without:
                    r.skipped = without
                    continue
                try:
                    blocks.append(self.convert(r, source, dumped))
                except Skip as e:
                    r.skipped = str(e)
        return blocks

    def convert(self, r, source, dumped):
        sections = source["sections"]
        for name, why in FOREIGN.items():
            if name in sections:
                raise Skip(why)
        if any("set_by_lua*" in str(sections.get(s)) for s in ("error_log", "response_body", "response_body_like")):
            raise Skip("what is not allowed in set_by_lua: the gateway has no such phase")
        version = re.match(r"\s*\d+\s*:\s*(<=?|>=?|==)\s*([\d.]+)", sections.get("skip_nginx") or "")
        if version and other_version(version.group(1), version.group(2)):
            raise Skip("for another version of nginx")
        if not any(s in sections for s in ("request", "raw_request", "pipelined_requests")):
            raise Skip("no request")
        said = dumped["said"]
        root = "%s/b%04d/servroot" % (self.work, len(self.results))
        env = {k: v for k, v in dumped["env"].items() if v is not None}
        # a library's tests mean the same with one
        if said.get("workers", 1) not in (1, "1") and not self.library:
            raise Skip("several workers")
        block = Block(source, root, self.ports, env, self.checkout, self.library)
        block.result, block.said = r, said
        block.level = (sections.get("log_level") or said.get("log_level") or "debug").strip()
        block.convert()
        return block

    # === running ===

    def batches(self, blocks):
        by = collections.OrderedDict()
        for b in blocks:
            by.setdefault((b.key(), b.level), []).append(b)
        for group in by.values():
            batch, dicts = [], {}
            for b in group:
                clash = any(dicts.get(k, v) != v for k, v in b.dicts.items())
                if batch and (clash or len(batch) >= BATCH):
                    yield batch
                    batch, dicts = [], {}
                batch.append(b)
                dicts.update(b.dicts)
            yield batch

    def run_batch(self, batch):
        self.gateways += 1
        root = "%s/g%04d" % (self.work, self.gateways)
        for b in batch:
            write_files(b)
        gateway = Gateway(self.args.binary, root, batch, self.ports(), batch[0].level)
        try:
            if not gateway.up:
                said = open(root + "/out", "rb").read().decode("latin1")[-600:]
                for b in batch:
                    b.result.wrong = [("start", "a gateway that starts", said)]
                return
            for n, b in enumerate(batch):
                self.run_block(gateway, n, b)
        finally:
            gateway.end()
            if not self.args.keep:
                shutil.rmtree(root, ignore_errors=True)

    def run_block(self, gateway, n, b):
        servers = []
        r = b.result
        try:
            for address, port, tls in b.relays:
                if b.front:
                    servers.append(Front(address, port, tls, b.front_date, b.front_idle))
                else:
                    servers.append(relay(address, port, tls))
            if b.front:
                servers.append(Front("127.0.0.1:%d" % b.front, b.port, None, b.front_date, b.front_idle))
            if b.section("tcp_listen") is not None:
                servers.append(OneAnswer(b))
            if b.section("udp_listen") is not None:
                servers.append(OneDatagram(b, gateway.root))
            if any(address.startswith("unix:") for address, _, _ in b.relays):
                # nginx listens before its workers begin: who looks for the socket again and again is to find it first
                time.sleep(0.1)
            at = 0 if len(gateway.blocks) == 1 else gateway.start_block(n)
            if len(gateway.blocks) == 1:
                gateway.start_block(n)
            checker = Checker(b, self.perl(), self.debug)
            self.talk(b, checker)
            time.sleep(seconds(b.section("wait"), 0))
            for server in servers:
                checker.query(server)
            r.log = self.await_log(gateway, checker, at)
            r.wrong = checker.wrong
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            if gateway.child.poll() is not None:
                e = "the gateway ended with %s" % gateway.child.poll()
            r.wrong = [("run", "a run", "%s: %s" % (type(e).__name__, e))]
        finally:
            for server in servers:
                server.close()
            if not self.args.keep:
                shutil.rmtree(os.path.dirname(b.root), ignore_errors=True)

    def talk(self, b, checker):
        asked, each = requests(b)
        timeout = seconds(b.section("timeout"), seconds(b.said.get("timeout"), 3))
        shut = b.section("shutdown")
        shut = None if shut is None else int(shut.strip() or 1)
        many, i = len(asked) > 1 or each > 1, 0
        for parts in asked:
            delay = seconds(b.section("raw_request_middle_delay"), 0)
            data, late = exchange(b.port, parts, timeout, delay, shut)
            if late and "abort" not in b.sections:
                checker.wrong.append(("timeout", "a closed connection", data[-300:].decode("latin1")))
            if "ignore_response" in b.sections:
                i += each
                continue
            head = parts[0][1].lstrip().startswith(b"HEAD ")
            for _ in range(each):
                response, rest = parse(data, head)
                checker.response(response, i, many)
                data, i = rest.encode("latin1"), i + 1

    def await_log(self, gateway, checker, at):
        """Waits until the log has what it must have, a while at most."""
        end = time.monotonic() + 0.6
        gateway.ask("/sync")
        while True:
            lines = gateway.lines(at)
            missing = checker.log(lines)
            if not missing or time.monotonic() > end or all(m[0] == "no_error_log" for m in missing):
                checker.wrong += missing
                return lines
            time.sleep(0.03)

    def run(self):
        blocks = self.collect()
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            list(pool.map(self.run_batch, self.batches(blocks)))
            again = [b for b in blocks if b.result.wrong and not b.result.hopeless()]
            if len(again) <= self.args.retry:
                list(pool.map(lambda b: self.run_batch([b]), again))
            else:
                print("%d fail in company, too many to run each alone" % len(again))
        if self.redis:
            self.redis.terminate()
            self.redis.wait()
        self.ports.close()
        if not self.args.keep:
            shutil.rmtree(self.work, ignore_errors=True)
        return self.results


def write_files(b):
    os.makedirs(b.root + "/html", exist_ok=True)
    os.makedirs(b.root + "/conf", exist_ok=True)
    os.makedirs(b.root + "/logs", exist_ok=True)
    files = b.section("user_files")
    if isinstance(files, str):
        parts = re.split(r"(?m)^>>> (\S+)(?:[ \t]+.*)?\n?", files)
        files = list(zip(parts[1::2], parts[2::2]))
    files = [("index.html", "<html><head><title>It works!</title></head><body>It works!</body></html>")] + [
        (f[0], f[1]) for f in files or []]
    for name, body in files:
        path = name if name.startswith("/") else b.root + "/html/" + name
        if not os.path.realpath(path).startswith(os.path.realpath(b.root)):
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write((body or "").encode("latin1"))


def report(results, path):
    with open(path, "w", encoding="latin1", errors="replace") as f:
        for r in results:
            if not r.wrong:
                continue
            f.write("=" * 100 + "\n%s:%d  %s\n" % (r.file, r.number, r.name))
            for what, want, got in r.wrong:
                f.write("--- %s\n  expected: %s\n  got:      %s\n" % (what, clip(want), clip(got)))
            f.write("--- log (end)\n" + "".join("  " + clip(line, 300).rstrip("\n") + "\n" for line in
                                                [x for x in r.log if "[debug]" not in x][-8:]))
        f.write("\n\nskipped\n")
        for r in results:
            if r.skipped:
                f.write("%s:%d  %s: %s\n" % (r.file, r.number, r.name, r.skipped))


def clip(text, length=1500):
    text = text["re"] if isinstance(text, dict) else str(text)
    return text if len(text) <= length else text[:length] + " ... (%d bytes)" % len(text)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkout")
    a.add_argument("files", nargs="*")
    a.add_argument("--binary", default=HERE + "/../../target/debug/moongate")
    a.add_argument("--report")
    a.add_argument("--lib", metavar="PATH")
    a.add_argument("--figures")
    a.add_argument("--record", action="store_true")
    a.add_argument("--keep")
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--retry", type=int, default=700, help="how many that fail in company are run again alone")
    args = a.parse_args()
    args.without = []
    args.binary = os.path.realpath(args.binary)
    begun = time.monotonic()
    results = Run(args).run()
    table = collections.OrderedDict()
    for r in results:
        t = table.setdefault(r.file, [0, 0, 0])
        t[2 if r.skipped else 1 if r.wrong else 0] += 1
    print("%-60s %6s %6s %7s" % ("file", "passed", "failed", "skipped"))
    for file, t in table.items():
        print("%-60s %6d %6d %7d" % (file, *t))
    total = [sum(t[i] for t in table.values()) for i in range(3)]
    print("%-60s %6d %6d %7d   in %d s" % ("%d files" % len(table), *total, time.monotonic() - begun))
    reasons = collections.Counter(r.skipped for r in results if r.skipped)
    for why, n in reasons.most_common(40):
        print("  %4d skipped: %s" % (n, why))
    for r in results:
        if r.wrong:
            print("failed: %s:%d %s [%s]" % (r.file, r.number, r.name, ", ".join(sorted({w[0] for w in r.wrong}))))
    if args.report:
        report(results, args.report)
    wrong = []
    name = suite(os.path.realpath(args.checkout))
    if args.figures and args.record:
        write(args.figures, name, reasons, table)
    elif args.figures and not args.files:
        wrong = compare(args.figures, name, table)
    for w in wrong:
        print("not as %s says: %s" % (args.figures, w))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
