#!/usr/bin/env python3
"""TLS to upstreams, side by side: a client certificate chosen by a request header, out of a hundred.

The upstream is nginx with one worker and `ssl_verify_client on` (TLS 1.3, TLS_AES_256_GCM_SHA384, P-256). Peers:

  nginx      one identity for everybody: the limit
  nginx-lua  Debian's Lua module picks the identity, `proxy_ssl_certificate` takes it by variable; an `upstream` block
             for each identity, since nginx's kept connections know nothing of certificates
  moongate   the plugin tests/bench/lua/kong/plugins/tls-identity

Workloads:

  kept     connections kept alive
  resumed  a connection for each request, sessions resumed where the peer can
  full     a connection for each request, the upstream keeps no sessions

Reported: requests/s, CPU us/request of the peer (user and system), the same over the upstream's own, handshakes per
request as the upstream counts them (full and resumed), requests that came over a connection of another identity, and
for moongate the memory of each cached identity. Peer on CPU 0, upstream and wrk on CPU 1, under `flock` on bench.lock
in the temporary directory, as the side-by-side benchmark.

    tests/bench/tls/run.py [--seconds 4] [--rounds 1] [--workloads kept,resumed,full] [--peers nginx,nginx-lua,moongate]
                           [--no-memory]

MOONGATE_BINARY names another binary than target/release/moongate.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HERE)
BINARY = os.environ.get("MOONGATE_BINARY", os.path.join(BENCH, "../../target/release/moongate"))
MODULES = os.environ.get("NGINX_MODULES", "/usr/lib/nginx/modules")
BASE = int(os.environ.get("BENCH_PORT", "29000"))
UPSTREAM, PROXY = BASE, BASE + 1
TICK = os.sysconf("SC_CLK_TCK")


def run(args, **kw):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw).stdout


def openssl(*args):
    return run(["openssl", *args])


def material(dir, n):
    """A CA, the upstream's certificate, and n client certificates c0.., each with a key of its own."""
    def make(name, subject, *more):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{dir}/{name}.key", "-out", f"{dir}/{name}.crt", "-subj", f"/CN={subject}", "-days", "30", *more)

    below = ["-CA", f"{dir}/ca.crt", "-CAkey", f"{dir}/ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    make("ca", "bench CA")
    make("upstream", "localhost", *below, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    for i in range(n):
        make(f"c{i}", f"c{i}", *below, "-addext", "extendedKeyUsage=clientAuth")


def temps(dir):
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    return " ".join(f"{k}_temp_path {dir}/{k};" for k in kinds)


def upstream_conf(dir, certs, sessions):
    keep = "ssl_session_cache shared:s:32m; ssl_session_timeout 1h;" if sessions else \
        "ssl_session_cache off; ssl_session_tickets off;"
    return f"""
worker_processes 1; daemon off; pid {dir}/pid; error_log {dir}/error.log error;
events {{ worker_connections 16384; }}
http {{
  {temps(dir)} default_type text/plain; keepalive_requests 1000000000; keepalive_timeout 3600s;
  map $connection_requests $first {{ 1 1; default 0; }}
  map "$http_x_identity:$ssl_client_s_dn" $strange {{ "~^(.*):CN=\\1$" ""; default "x"; }}
  log_format handshake "$ssl_session_reused";
  log_format strange "x";
  server {{
    listen 127.0.0.1:{UPSTREAM} ssl backlog=4096; {keep}
    ssl_certificate {certs}/upstream.crt; ssl_certificate_key {certs}/upstream.key;
    ssl_client_certificate {certs}/ca.crt; ssl_verify_client on;
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    access_log {dir}/handshakes handshake if=$first;
    access_log {dir}/strange strange if=$strange;
    location / {{ return 200 "{'x' * 128}"; }}
  }}
}}
"""


def nginx_conf(dir, certs, n, lua, kept):
    keep = "keepalive 1024; keepalive_requests 1000000000;" if kept else ""
    connection = 'proxy_set_header Connection "";' if kept else "proxy_set_header Connection close;"
    names = [f"c{i}" for i in range(n)] if lua else ["c0"]
    blocks = "\n".join(f"  upstream up_{c} {{ server 127.0.0.1:{UPSTREAM}; {keep} }}" for c in names)
    load = f"load_module {MODULES}/ndk_http_module.so; load_module {MODULES}/ngx_http_lua_module.so;" if lua else ""
    if lua:
        choose = f"""
      set $identity "";
      access_by_lua_block {{
        local id = ngx.var.http_x_identity
        if not id or not id:find("^c%d+$") then return ngx.exit(401) end
        ngx.var.identity = id
      }}
      proxy_ssl_certificate {certs}/$identity.crt; proxy_ssl_certificate_key {certs}/$identity.key;
      proxy_pass https://up_$identity;"""
    else:
        choose = f"""
      proxy_ssl_certificate {certs}/c0.crt; proxy_ssl_certificate_key {certs}/c0.key;
      proxy_pass https://up_c0;"""
    return f"""
{load}
worker_processes 1; daemon off; pid {dir}/pid; error_log {dir}/error.log error;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; {temps(dir)}
  proxy_http_version 1.1; {connection} proxy_set_header Host $host;
  proxy_ssl_protocols TLSv1.3; proxy_ssl_server_name on; proxy_ssl_name localhost;
{blocks}
  server {{ listen 127.0.0.1:{PROXY}; location / {{ {choose} }} }}
}}
"""


def moongate(dir, certs, kept):
    config = {
        "_format_version": "3.0",
        "services": [{"name": "up", "url": f"https://127.0.0.1:{UPSTREAM}", "routes": [
            {"name": "all", "paths": ["/"], "strip_path": False, "preserve_host": False}]}],
        "plugins": [{"name": "tls-identity", "config": {"dir": certs}}],
    }
    with open(f"{dir}/kong.json", "w") as f:
        json.dump(config, f)
    env = dict(os.environ, KONG_PREFIX=f"{dir}/prefix", KONG_PROXY_LISTEN=f"127.0.0.1:{PROXY}", KONG_ADMIN_LISTEN="off",
               KONG_STATUS_LISTEN="off", KONG_ADMIN_GUI_LISTEN="off", KONG_NGINX_WORKER_PROCESSES="1",
               KONG_PROXY_ACCESS_LOG="off", KONG_LOG_LEVEL="error", KONG_PROXY_ERROR_LOG=f"{dir}/error.log",
               KONG_PLUGINS="tls-identity", KONG_MOONGATE_LUA_DIR=f"{BENCH}/lua",
               KONG_UPSTREAM_KEEPALIVE_POOL_SIZE="1024" if kept else "0",
               KONG_UPSTREAM_KEEPALIVE_MAX_REQUESTS="1000000000",
               KONG_NGINX_HTTP_KEEPALIVE_REQUESTS="1000000000", KONG_HEADERS="off", KONG_HEADERS_UPSTREAM="off")
    return [BINARY, "run", f"{dir}/kong.json"], env


def start(args, cpu, dir, port, env=None):
    os.makedirs(dir, exist_ok=True)
    with open(f"{dir}/out", "wb") as out:
        child = subprocess.Popen(["taskset", "-c", cpu, *args], env=env, cwd=dir, stdout=out, stderr=out)
    end = time.time() + 20
    while time.time() < end and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return child
        except OSError:
            time.sleep(0.05)
    child.kill()
    logs = [f"{dir}/out", f"{dir}/error.log"]
    said = "".join(open(p, errors="replace").read()[-2000:] for p in logs if os.path.exists(p))
    raise SystemExit(f"{args[0]} did not start:\n{said}")


def nginx(conf, cpu, dir, port):
    os.makedirs(dir, exist_ok=True)
    with open(f"{dir}/nginx.conf", "w") as f:
        f.write(conf)
    return start(["nginx", "-p", dir, "-e", f"{dir}/error.log", "-c", f"{dir}/nginx.conf"], cpu, dir, port)


def stop(child):
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def family(pid):
    found = [pid]
    for p in found:
        try:
            with open(f"/proc/{p}/task/{p}/children") as f:
                found += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return found


def cpu(pid):
    """Seconds of user and system time of a process and its descendants."""
    ticks = 0
    for p in family(pid):
        with open(f"/proc/{p}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def memory(pid):
    """KiB of memory that is the processes' own."""
    total = 0
    for p in family(pid):
        with open(f"/proc/{p}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith(("Private_Dirty", "Private_Clean")))
    return total


def lines(path):
    with open(path) as f:
        return f.read().splitlines()


def wrk(seconds, n):
    out = run(["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", "-s", f"{HERE}/wrk.lua",
               f"http://127.0.0.1:{PROXY}", "--", str(n)]).decode()
    result = next(line for line in out.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, errors = map(int, result.split()[1:])
    return {"requests": requests, "seconds": micros / 1e6, "p50_us": p50, "errors": errors}


def ask(identity):
    """One request; its status."""
    with socket.create_connection(("127.0.0.1", PROXY), 10) as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: bench.local\r\nx-identity: {identity}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


def measure(peer, workload, work, certs, args):
    dir = tempfile.mkdtemp(prefix=f"{peer}-{workload}-", dir=work)
    os.chmod(dir, 0o755)
    kept, one = workload == "kept", 1 if peer == "nginx" else args.identities
    up_dir = f"{dir}/up"
    upstream = nginx(upstream_conf(up_dir, certs, workload != "full"), "1", up_dir, UPSTREAM)
    try:
        if peer == "moongate":
            command, env = moongate(dir, certs, kept)
            proxy = start(command, "0", dir, PROXY, env)
        else:
            proxy = nginx(nginx_conf(dir, certs, one, peer == "nginx-lua", kept), "0", dir, PROXY)
        try:
            status = ask("c0")
            assert status == 200, f"{peer} {workload}: {status}"
            wrk(1, one)
            seen = len(lines(f"{up_dir}/handshakes"))
            before, up_before = cpu(proxy.pid), cpu(upstream.pid)
            result = wrk(args.seconds, one)
            time.sleep(0.2)
            spent, up_spent = cpu(proxy.pid) - before, cpu(upstream.pid) - up_before
            shakes = lines(f"{up_dir}/handshakes")[seen:]
            count = result["requests"]
            return result | {
                "rps": count / result["seconds"],
                "cpu_us": spent / count * 1e6,
                "ratio": spent / up_spent,
                "full": sum(1 for s in shakes if s == ".") / count,
                "resumed": sum(1 for s in shakes if s == "r") / count,
                "strange": len(lines(f"{up_dir}/strange")),
            }
        finally:
            stop(proxy)
    finally:
        stop(upstream)


def identities_memory(work, certs, some, all):
    """KiB for each identity that moongate keeps, by what its memory grows from `some` identities to `all`.

    Each is used once, no connection is kept; the plugin's parsed chain and key count, too.
    """
    dir = tempfile.mkdtemp(prefix="memory-", dir=work)
    os.chmod(dir, 0o755)
    upstream = nginx(upstream_conf(f"{dir}/up", certs, True), "1", f"{dir}/up", UPSTREAM)
    command, env = moongate(dir, certs, False)
    proxy = start(command, "0", dir, PROXY, env)
    try:
        # what grows with requests rather than identities grows first
        for i in range(2 * all):
            assert ask(f"c{i % some}") == 200
        before = memory(proxy.pid)
        for i in range(some, all):
            assert ask(f"c{i}") == 200
        return (memory(proxy.pid) - before) / (all - some)
    finally:
        stop(proxy)
        stop(upstream)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--identities", type=int, default=100)
    parser.add_argument("--workloads", default="kept,resumed,full")
    parser.add_argument("--peers", default="nginx,nginx-lua,moongate")
    parser.add_argument("--no-memory", action="store_true")
    args = parser.parse_args()
    for tool in ["wrk", "nginx", "openssl", "taskset"]:
        if not shutil.which(tool):
            sys.exit(f"missing: {tool}")
    lock = open(os.path.join(tempfile.gettempdir(), "bench.lock"), "w")
    if not os.environ.get("BENCH_LOCKED"):
        fcntl.flock(lock, fcntl.LOCK_EX)
    work = tempfile.mkdtemp(prefix="moongate-tls-")
    os.chmod(work, 0o755)
    certs = f"{work}/certs"
    os.makedirs(certs)
    try:
        remembered = args.identities * 9 if "moongate" in args.peers and not args.no_memory else args.identities
        material(certs, remembered)
        os.system(f"chmod -R a+rX {certs}")
        peers = args.peers.split(",")
        print("| workload | peer | requests/s | p50 ms | CPU µs/request | CPU / upstream | full handshakes/request "
              "| resumed | of another identity | errors |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        for workload in args.workloads.split(","):
            results = {peer: [] for peer in peers}
            for i in range(args.rounds):
                for peer in peers if i % 2 == 0 else peers[::-1]:
                    results[peer].append(measure(peer, workload, work, certs, args))
            for peer, runs in results.items():
                median = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
                strange = "–" if peer == "nginx" else sum(r["strange"] for r in runs)
                print(f"| {workload} | {peer} | {median['rps']:.0f} | {median['p50_us'] / 1000:.1f} "
                      f"| {median['cpu_us']:.1f} | {median['ratio']:.2f} | {median['full']:.4f} "
                      f"| {median['resumed']:.4f} | {strange} | {sum(r['errors'] for r in runs)} |", flush=True)
        if remembered > args.identities:
            each = identities_memory(work, certs, args.identities, remembered)
            print(f"\nmoongate: {each:.1f} KiB for each of {remembered} cached identities")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
