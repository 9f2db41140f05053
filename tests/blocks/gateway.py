"""A gateway for a batch of blocks: its folder, its configuration, its life.

Must not: know what a block expects.
"""

import os
import shutil
import signal
import subprocess
import time

from convert import lua
from wire import exchange

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = 'return { name = "blocks", fields = { { config = { type = "record", fields = {} } } } }\n'
CONFIG = """_format_version: "3.0"
services:
- name: blocks
  url: http://127.0.0.1:1
  retries: 0
  routes:
  - name: all
    paths: ["/"]
    strip_path: false
    preserve_host: true
plugins:
- name: blocks
"""


class Gateway:
    """A running gateway with the blocks of a batch."""

    def __init__(self, binary, root, blocks, control, log_level):
        self.root, self.control, self.blocks = root, control, blocks
        shutil.rmtree(root, ignore_errors=True)
        tables, plugin = root + "/blocks", root + "/lua/kong/plugins/blocks"
        os.makedirs(tables)
        os.makedirs(plugin)
        ports, settings, dicts = {}, {}, {}
        for n, b in enumerate(blocks):
            for port in b.servers:
                ports[port] = n
            with open("%s/block-%d.lua" % (tables, n), "wb") as f:
                f.write(b.tables().encode("latin1"))
            settings.update(b.settings)
            dicts.update(b.dicts)
        index = {"ports": ports, "control": control, "single": len(blocks) == 1}
        first = blocks[0]
        if len(blocks) == 1 and (first.init or first.init_worker):
            index.update({"alone": 0, "init": first.init, "init_worker": first.init_worker})
        self._write(tables + "/index.lua", "return " + lua(index))
        self._write(plugin + "/schema.lua", SCHEMA)
        for name in ("handler.lua", "exchanged.lua"):
            shutil.copy(HERE + "/" + name, plugin + "/" + name)
        self._write(root + "/kong.yml", CONFIG)
        secure = {p for b in blocks for p in b.tls_ports}
        listen = ", ".join("127.0.0.1:%d%s" % (p, " ssl" if p in secure else "") for p in list(ports) + [control])
        os.symlink(first.checkout + "/t", root + "/t")
        env = dict(os.environ)
        for name in list(env):
            if name.startswith("KONG_"):
                del env[name]
        env.update({
            "MOONGATE_BLOCKS": tables, "KONG_PREFIX": root + "/servroot", "KONG_PROXY_LISTEN": listen,
            "KONG_PLUGINS": "blocks", "KONG_NGINX_WORKER_PROCESSES": "1", "KONG_LOG_LEVEL": log_level,
            "KONG_MOONGATE_LUA_DIR": root + "/lua", "KONG_PROXY_ACCESS_LOG": "off",
            "KONG_PROXY_ERROR_LOG": root + "/error.log",
            "KONG_HEADERS": "off", "KONG_ADMIN_LISTEN": "off", "KONG_STATUS_LISTEN": "off",
            "KONG_ADMIN_GUI_LISTEN": "off", "KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE": "0",
            # nginx's own default, where Kong has it off
            "KONG_NGINX_HTTP_LUA_SOCKET_LOG_ERRORS": "on",
        })
        if dicts:
            env["KONG_NGINX_HTTP_LUA_SHARED_DICT"] = "; ".join("%s %s" % kv for kv in dicts.items())
        for name, value in settings.items():
            env["KONG_" + name.upper()] = ",".join(value) if isinstance(value, list) else value
        if first.path and (len(blocks) == 1 or first.library):
            # worker threads have states of their own
            path = first.path if len(blocks) == 1 else first.library.path()
            env["KONG_LUA_PACKAGE_PATH"] = path + ";./?.lua;./?/init.lua;"
        self.log_path = root + "/error.log"
        self.out = open(root + "/out", "wb")
        self.child = subprocess.Popen([binary, "run", root + "/kong.yml"], env=env, stdout=self.out, stderr=self.out,
                                      cwd=root)
        self.up = self._wait()

    @staticmethod
    def _write(path, text):
        with open(path, "wb") as f:
            f.write(text.encode("latin1"))

    def _wait(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.child.poll() is None:
            try:
                if b"ok" in self.ask("/up"):
                    return True
            except OSError:
                pass
            time.sleep(0.03)
        return False

    def ask(self, path):
        """A request to the control port."""
        request = "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
        return exchange(self.control, [(0, request.encode())], 5)[0]

    def start_block(self, n):
        """Makes a block the current one; where the log stands before it."""
        at = self.log_size()
        self.ask("/start/%d" % n)
        return at

    def log_size(self):
        try:
            return os.path.getsize(self.log_path)
        except OSError:
            return 0

    def lines(self, at):
        """The error log's lines from a place on."""
        try:
            with open(self.log_path, "rb") as f:
                f.seek(at)
                return [line + "\n" for line in f.read().decode("latin1").split("\n")[:-1]]
        except OSError:
            return []

    def end(self):
        """Ends it."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.out.close()
