#!/usr/bin/env python3
"""What one call of a hot function costs, in ns, beside nginx with Debian's Lua module in the same run.

Both run calls.lua in the access phase of one worker on CPU 0 (Moongate in a drop-in plugin made for the run), in turns,
under `flock` on bench.lock in the temporary directory. A figure is the least of all rounds: the loops do nothing else,
so what is above the least is the machine.

    tests/bench/calls/run.py [--turns 3] [--count 200000] [--markdown] [--more]

--more runs the calls of more.lua instead, which are less hot.

MOONGATE_BINARY names another binary than target/release/moongate; NGINX_MODULES the folder of nginx's modules.
"""

import argparse
import fcntl
import http.client
import json
import os
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.environ.get("MOONGATE_BINARY", os.path.join(HERE, "../../../target/release/moongate"))
MODULES = os.environ.get("NGINX_MODULES", "/usr/lib/nginx/modules")
BASE = int(os.environ.get("BENCH_PORT", "29300"))


def nginx(dir):
    temps = " ".join(f"{k}_temp_path {dir}/{k};" for k in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    conf = f"""
load_module {MODULES}/ndk_http_module.so; load_module {MODULES}/ngx_http_lua_module.so;
worker_processes 1; daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log error;
events {{ }}
http {{
  access_log off; {temps} lua_shared_dict calls 10m;
  server {{ listen 127.0.0.1:{BASE}; location / {{ access_by_lua_file {HERE}/calls.lua; }} }}
}}
"""
    with open(f"{dir}/nginx.conf", "w") as f:
        f.write(conf)
    return ["nginx", "-p", dir, "-e", f"{dir}/error.log", "-c", f"{dir}/nginx.conf"], None


def moongate(dir):
    plugin = f"{dir}/lua/calls"
    os.makedirs(plugin)
    with open(f"{plugin}/handler.lua", "w") as f:
        f.write(f'local run = assert(loadfile("{HERE}/calls.lua"))\n'
                'return { PRIORITY = 1, VERSION = "1", access = function() return run() end }\n')
    with open(f"{plugin}/schema.lua", "w") as f:
        f.write('return { name = "calls", fields = { { config = { type = "record", fields = {} } } } }\n')
    with open(f"{dir}/kong.json", "w") as f:
        json.dump({"_format_version": "3.0", "plugins": [{"name": "calls"}],
                   "routes": [{"name": "all", "paths": ["/"]}]}, f)
    env = dict(os.environ, KONG_PREFIX=f"{dir}/prefix", KONG_PROXY_LISTEN=f"127.0.0.1:{BASE + 1}",
               KONG_ADMIN_LISTEN="off", KONG_STATUS_LISTEN="off", KONG_ADMIN_GUI_LISTEN="off",
               KONG_NGINX_WORKER_PROCESSES="1", KONG_PROXY_ACCESS_LOG="off", KONG_LOG_LEVEL="error",
               KONG_PROXY_ERROR_LOG=f"{dir}/error.log", KONG_PLUGINS="calls", KONG_MOONGATE_LUA_DIR=f"{dir}/lua",
               KONG_NGINX_HTTP_LUA_SHARED_DICT="calls 10m", KONG_MOONGATE_HANDLER_TIMEOUT="300s")
    return [os.path.abspath(BINARY), "run", f"{dir}/kong.json"], env


def ask(port, count, more):
    deadline = time.time() + 10
    while True:
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            c.request("GET", f"/v1/users?rounds=3&count={count}&more={int(more)}", headers={"User-Agent": "calls/1.0"})
            r = c.getresponse()
            text = r.read().decode()
            assert r.status == 200, text
            return {name: float(ns) for name, ns in (line.split("\t") for line in text.splitlines())}
        except ConnectionRefusedError:
            if time.time() > deadline:
                raise
            time.sleep(0.1)


def end(children):
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def interrupted(number, _):
    raise SystemExit(128 + number)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--turns", type=int, default=3)
    args.add_argument("--count", type=int, default=200000)
    args.add_argument("--markdown", action="store_true")
    args.add_argument("--more", action="store_true")
    args = args.parse_args()
    if not os.environ.get("BENCH_LOCKED"):
        lock = open(os.path.join(tempfile.gettempdir(), "bench.lock"), "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    # `timeout` ends this with SIGTERM: the servers must not stay
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    best = [{}, {}]
    with tempfile.TemporaryDirectory() as dir:
        os.chmod(dir, 0o755)
        children = []
        try:
            for i, (name, peer) in enumerate([("nginx", nginx), ("moongate", moongate)]):
                os.makedirs(f"{dir}/{name}")
                command, env = peer(f"{dir}/{name}")
                children.append(subprocess.Popen(["taskset", "-c", "0"] + command, env=env, cwd=f"{dir}/{name}",
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for _ in range(args.turns):
                for i in (0, 1):
                    for name, ns in ask(BASE + i, args.count, args.more).items():
                        best[i][name] = min(ns, best[i].get(name, ns))
        finally:
            end(children)
    loop = [b["an empty loop"] for b in best]
    if args.markdown:
        print("| call | nginx + Lua, ns | Moongate, ns | ratio |\n|---|--:|--:|--:|")
    for name, ns in best[1].items():
        theirs = best[0].get(name)
        ours = ns - loop[1] if name != "an empty loop" else ns
        if theirs is not None and name != "an empty loop":
            theirs -= loop[0]
        row = [name, "–" if theirs is None else f"{theirs:.0f}", f"{ours:.0f}",
               "–" if not theirs or theirs < 1 else f"{ours / theirs:.2f}"]
        print("| " + " | ".join(row) + " |" if args.markdown else "{:34} {:>8} {:>8} {:>6}".format(*row))


main()
