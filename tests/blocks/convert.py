"""One block of a Test::Nginx file to what the gateway can run: tables for handler.lua, requests, expectations.

Must not: run anything (gateway.py, wire.py), or know of results (checks.py).
"""

import os
import re

from nginx_conf import Refused, parse


class Skip(Exception):
    """Why a block cannot be converted."""


class Lua(str):
    """Text that is Lua already."""


def lua(value):
    """A Lua literal. Text is bytes, one character each."""
    if isinstance(value, Lua):
        return str(value)
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        out = ['"']
        for c in value:
            n = ord(c)
            if c in '"\\':
                out.append("\\" + c)
            elif 32 <= n < 127:
                out.append(c)
            else:
                out.append("\\%03d" % n)
        return "".join(out) + '"'
    if isinstance(value, dict):
        return "{" + ", ".join("[%s] = %s" % (lua(k), lua(v)) for k, v in value.items() if v is not None) + "}"
    return "{" + ", ".join(lua(v) for v in value) + "}"


PHASES = {"rewrite": "rewrite", "access": "access", "content": "content", "header_filter": "header_filter",
          "body_filter": "body_filter", "log": "log"}
BY_LUA = re.compile(r"^(\w+?)_by_lua(_block|_file)?$")

# What changes nothing that a block here could notice, or what the gateway decides by itself.
IGNORED = set("""
server_tokens more_clear_headers resolver resolver_timeout root index access_log error_log
server_name lua_code_cache_on keepalive_timeout internal proxy_http_version proxy_buffering lua_http10_buffering
client_body_in_single_buffer tcp_nodelay tcp_nopush sendfile underscores_in_headers lua_use_default_type
proxy_ssl_session_reuse proxy_ssl_verify ssl_session_tickets lingering_close lua_malloc_trim
lua_regex_cache_max_entries rewrite_log log_subrequest lua_load_resty_core lua_ssl_verify_depth ssl_protocols
ssl_prefer_server_ciphers merge_slashes msie_padding lua_sa_restart lua_thread_cache_max_entries
echo_reset_timer variables_hash_max_size types_hash_max_size server_names_hash_bucket_size
proxy_ssl_certificate proxy_ssl_certificate_key client_header_buffer_size large_client_header_buffers
lua_transform_underscores
""".split())
# Settings of the gateway: what it is started with.
SETTINGS = {
    "client_max_body_size": "nginx_http_client_max_body_size",
    "client_body_buffer_size": "nginx_http_client_body_buffer_size",
    "lua_ssl_trusted_certificate": "lua_ssl_trusted_certificate",
    "lua_capture_error_log": "nginx_http_lua_capture_error_log",
    "lua_check_client_abort": "nginx_proxy_lua_check_client_abort",
    "client_body_timeout": "moongate_client_body_timeout",
    "lua_socket_log_errors": "nginx_http_lua_socket_log_errors",
    "lua_socket_buffer_size": "nginx_http_lua_socket_buffer_size",
    "lua_socket_keepalive_timeout": "nginx_http_lua_socket_keepalive_timeout",
    "lua_socket_pool_size": "nginx_http_lua_socket_pool_size",
}
TIMEOUTS = ("lua_socket_connect_timeout", "lua_socket_send_timeout", "lua_socket_read_timeout")
# Variables that the gateway has, too, and that can be written.
KNOWN = {"args", "query_string", "limit_rate", "upstream_uri", "upstream_scheme", "upstream_host", "upstream_upgrade", "upstream_connection"}


def milliseconds(text):
    """Of nginx's notation."""
    m = re.match(r"(\d+)(ms|s|m)?$", text)
    return int(m.group(1)) * {"ms": 1, None: 1000, "s": 1000, "m": 60000}[m.group(2)] if m else None


class Library:
    """A checkout whose Lua modules are the question: they come before the gateway's own."""

    def __init__(self, checkout, behind, ports):
        # servers of this run for those at well-known ports
        self.ports = ports
        self.folders = [f for f in (checkout + "/" + d for d in ("lib", "lualib", "src", "lua")) if os.path.isdir(f)]
        self.folders += [checkout] + behind

    def path(self):
        return ";".join("%s/?.lua;%s/?/init.lua" % (f, f) for f in self.folders)


class Block:
    """A block that can run."""

    def __init__(self, source, root, ports, env, checkout, library=None):
        self.library = library
        self.name, self.sections = source["name"], source["sections"]
        self.root, self.env, self.checkout = root, env, checkout
        self.port = ports()
        self._ports = ports
        self.tls_ports = []
        self.servers, self.relays, self.dicts, self.path = {}, [], {}, None
        self.init, self.init_worker, self.settings = [], [], {}
        # a port that the block's own server has is another one in each run
        self.fixed = {}
        for name in ("tcp_listen", "udp_listen"):
            given = source["sections"].get(name)
            if isinstance(given, str) and given.strip().isdigit():
                self.fixed[given.strip()] = str(ports())
        if "TEST_NGINX_MEMCACHED_PORT" in str(source["sections"].get("udp_listen")):
            # a server of the block's own in memcached's place
            self.env = {**env, "TEST_NGINX_MEMCACHED_PORT": str(ports())}
        # what the block's Lua is to find at its own port when it asks by a socket
        whole = "\n".join(str(source["sections"].get(n)) for n in ("config", "http_config", "user_files"))
        self.front = ports() if re.search(r"socket\.(?:tcp|connect|stream)|= *socket", whole) else None
        if self.front:
            self.env = {**self.env, "TEST_NGINX_SERVER_PORT": str(self.front)}
        idle = re.search(r"(?<!_)keepalive_timeout\s+(\d+(?:ms|s)?)\s*;", whole)
        self.front_idle = milliseconds(idle.group(1)) / 1000 if idle else None
        self.front_date = "more_clear_headers Date" not in whole
        self.upstreams, self.bare = {}, os.path.isdir(checkout + "/kong/pdk")
        if source.get("broken"):
            raise Skip("the section cannot be read: " + source["broken"].strip()[:60])

    # === text ===

    def text(self, text):
        """With the names of this run's folders and ports in it."""
        if isinstance(text, str):
            def of(m):
                name = m.group(1) or m.group(2)
                port = re.match(r"TEST_NGINX_RAND_PORT_(\d+)$", name)
                if port:
                    return str(self._rand(int(port.group(1))))
                v = self.env.get(name)
                return m.group(0) if v is None else v

            text = re.sub(r"\$(?:(TEST_NGINX_[A-Z0-9_]+)|\{(TEST_NGINX_[A-Z0-9_]+)\})", of, text)
            text = text.replace("/@ROOT@/../", self.checkout + "/t/").replace("/@ROOT@", self.root)
            text = re.sub(r"(?<![\w.])1984(?!\w)", str(self.port), text)
            text = re.sub(r"(?<![\w.])11211(?!\w)", self.env.get("TEST_NGINX_MEMCACHED_PORT", "11211"), text)
            for given, port in {**(self.library.ports if self.library else {}), **self.fixed}.items():
                text = re.sub(r"(?<![\w.])%s(?!\w)" % given, port, text)
            if self.library:
                # where the library's own test machine has its checkout
                text = re.sub(r"(?<=[\"'])/lua-resty-[a-z]+/(?=\w)", self.checkout + "/", text)
            return text.replace("$ServerPort", str(self.port))
        if isinstance(text, list):
            return [self.text(t) for t in text]
        if isinstance(text, dict):
            return {k: self.text(v) for k, v in text.items()}
        return text

    _random = None

    def _rand(self, n):
        self._random = self._random or {}
        if n not in self._random:
            self._random[n] = self._ports()
        return self._random[n]

    def section(self, name):
        return self.text(self.sections.get(name))

    # === configuration ===

    def convert(self):
        http, config = self.section("http_config") or "", self.section("config")
        if config is None:
            raise Skip("no config section")
        for t in (http, config):
            if not isinstance(t, str):
                raise Skip("the configuration is no text")
        try:
            http, config = parse(http, 21), parse(config, 39)
        except Refused as e:
            raise Skip("nginx refuses the configuration: %s" % e)
        self._main(self.section("main_config") or "")
        shared, servers = Location(), []
        # Test::Nginx's own preamble
        shared.type = None if self.bare else "text/plain"
        for d in http:
            self._http(d, shared, servers)
        if self.library:
            self.path = (self.path + ";" if self.path else "") + self.library.path()
        self.servers[self.port] = self._server(config, shared)
        for d in servers:
            listens = [x for x in d.block if x.name == "listen"] or None
            if not listens:
                raise Skip("a server without listen")
            port = self._ports()
            rest = [x for x in d.block if x.name != "listen" and not (x.name.startswith("ssl_") and not x.lua)]
            self.servers[port] = self._server(rest, shared)
            for listen in listens:
                self.relays.append(self._listen(listen, d, port))
        if self.bare:
            self._configured("".join(t for t in (self.section("config"), self.section("http_config")) if t))
        for server in self.servers.values():
            for location in server["locations"] + [server["default"]]:
                location.resolve(self)

    def _configured(self, text):
        """What a block gives to `PDK.new` is a setting of the gateway's here, as it is one of Kong's in life."""
        trusted = re.search(r"trusted_ips\s*=\s*\{([^}]*)\}", text)
        if trusted and "trusted_ips" not in self.settings:
            self.settings["trusted_ips"] = re.findall(r'"([^"]+)"', trusted.group(1))
        port = re.search(r"host_ports\s*=\s*\{\s*\[tonumber\(ngx.var.server_port\)\]\s*=\s*(\d+)", text)
        if port:
            self.settings["port_maps"] = "%s:%d" % (port.group(1), self.port)

    def _main(self, text):
        try:
            directives = parse(text) if isinstance(text, str) else None
        except Refused:
            directives = None
        if directives is None:
            raise Skip("main_config")
        names = {d.name for d in directives}
        for d in directives:
            if d.name == "thread_pool":
                self.settings["nginx_main_thread_pool"] = " ".join(d.args)
        if names - {"env", "thread_pool", "worker_shutdown_timeout"}:
            raise Skip("main_config")

    def _http(self, d, shared, servers):
        by = BY_LUA.match(d.name)
        if d.name == "server":
            servers.append(d)
        elif d.name == "upstream":
            self._upstream(d)
        elif d.name == "lua_package_path":
            self._package_path(d.args[0])
        elif d.name == "lua_package_cpath" and self.library:
            pass
        elif d.name == "lua_shared_dict":
            self.dicts[d.args[0]] = d.args[1]
        elif by and by.group(1) in ("init", "init_worker"):
            code = self._code(d, by)
            if code.get("code", "x").strip():
                (self.init if by.group(1) == "init" else self.init_worker).append(code)
        else:
            self._directive(d, shared)

    def _package_path(self, text):
        kept = []
        for entry in text.split(";"):
            entry = entry.replace("$prefix", self.root)
            if not entry:
                continue
            if not entry.startswith("/"):
                entry = os.path.normpath(self.checkout + "/" + entry)
            inside = self.checkout + ("/" if self.library else "/t/")
            if entry.startswith(self.root) or entry.startswith(inside):
                kept.append(entry)
        self.path = ";".join(kept) or None

    def _path(self, path):
        """A path of a configuration: relative to the server's folder, or where Test::Nginx has that in the checkout."""
        ours = os.path.normpath(os.path.join(self.root, "conf", path))
        theirs = os.path.normpath(os.path.join(self.checkout, "t/servroot/conf", path))
        inside = os.path.normpath(os.path.join(self.checkout, path))
        for other in (theirs, inside):
            if os.path.exists(other):
                return other
        return ours

    def _real_ip(self, d):
        if d.name == "set_real_ip_from":
            self.settings.setdefault("trusted_ips", []).append(d.args[0])
        elif d.name == "real_ip_header":
            if d.args[0] == "proxy_protocol":
                raise Skip("the PROXY protocol")
            self.settings["real_ip_header"] = d.args[0]
        else:
            self.settings["real_ip_recursive"] = d.args[0]

    def _upstream(self, d):
        names = {x.name for x in d.block}
        if any("by_lua" in n for n in names):
            raise Skip("balancer_by_lua")
        servers = [x for x in d.block if x.name == "server"]
        if len(servers) != 1:
            raise Skip("an upstream with several servers")
        self.upstreams[d.args[0]] = servers[0].args[0]

    def _listen(self, listen, server, port):
        address, options, tls = listen.args[0], listen.args[1:], None
        if "http2" in options or "quic" in options:
            raise Skip("HTTP/2")
        if "ssl" in options:
            tls = {x.name: " ".join(x.args) for x in server.block if x.name.startswith("ssl_")}
            if any("by_lua" in name for name in tls):
                raise Skip("Lua in the handshake of nginx's server")
            for name in ("ssl_certificate", "ssl_certificate_key", "ssl_client_certificate"):
                if name in tls:
                    tls[name] = self._path(tls[name])
            if self.bare and "ssl_certificate" in tls:
                # the gateway's own TLS, where what Lua sees of it is the question
                self.settings.update({"ssl_cert": tls["ssl_certificate"], "ssl_cert_key": tls["ssl_certificate_key"]})
                self.tls_ports.append(port)
                tls = None
            elif "ssl_certificate" not in tls:
                raise Skip("a TLS server without a certificate")
        if "proxy_protocol" in options:
            raise Skip("the PROXY protocol")
        if not address.startswith("unix:"):
            host, _, number = address.rpartition(":")
            host = host or "127.0.0.1"
            if not number.isdigit():
                raise Skip("listens on %s" % address)
            address = "%s:%s" % ("127.0.0.1" if host in ("*", "0.0.0.0", "localhost") else host, number)
        return address, port, tls

    def _server(self, directives, shared):
        base = shared.copy()
        locations = []
        for d in directives:
            if d.name == "location":
                continue
            self._directive(d, base)
        ops = base.ops
        base.ops = []
        for d in directives:
            if d.name == "location":
                self._location(d, base, locations)
        default = base.copy()
        for location in locations + [default]:
            location.ops = ops + location.ops
        return {"locations": locations, "default": default}

    def _location(self, d, base, locations):
        kind, path = ("", d.args[0]) if len(d.args) == 1 else d.args[:2]
        if len(d.args) == 1:
            m = re.match(r"^(\^~|~\*|~|=)(.+)$", path)
            if m:
                kind, path = m.groups()
        if path.startswith("@"):
            kind = "@"
        location = base.copy()
        location.kind, location.path = kind, path
        nested = []
        for x in d.block:
            if x.name == "location":
                nested.append(x)
            else:
                self._directive(x, location)
        for x in nested:
            self._location(x, location, locations)
        locations.append(location)

    def _code(self, d, by):
        if by.group(2) == "_file":
            return {"file": d.args[0]}
        code = d.lua if by.group(2) == "_block" else d.args[0]
        return {"code": code, "chunk": "=%s(nginx.conf:%d)" % (by.group(0).replace("_block", ""), d.end)}

    def _directive(self, d, location):
        name, args = d.name, d.args
        by = BY_LUA.match(name)
        if by:
            phase = by.group(1)
            if phase == "set":
                code = dict(self._code(d, by)) if by.group(2) != "_block" else self._code(d, by)
                if by.group(2):
                    code = {**code}
                target = args[0]
                if by.group(2) == "_file":
                    code = {"file": args[1]}
                elif by.group(2) != "_block":
                    code["code"] = args[1]
                rest = [] if by.group(2) == "_block" else args[2:]
                location.ops.append({"op": "set_by_lua", "name": target.lstrip("$"), "lua": code, "args": rest})
            elif phase in PHASES:
                location.lua[phase] = self._code(d, by)
                if phase == "content":
                    location.echo = location.proxy = None
            else:
                raise Skip(name.replace("_block", "").replace("_file", ""))
        elif name == "set":
            var = args[0].lstrip("$")
            location.ops.append({"op": "set", "name": var, "value": args[1] if len(args) > 1 else "",
                                 "known": var in KNOWN or None})
        elif name == "return":
            self._return(args, location)
        elif name == "rewrite":
            location.ops.append({"op": "rewrite", "regex": args[0], "to": args[1],
                                 "flag": args[2] if len(args) > 2 else None})
            if location.ops[-1]["flag"] in ("redirect", "permanent"):
                raise Skip("rewrite with a redirect")
        elif name == "proxy_pass":
            location.proxy = args[0]
            location.lua.pop("content", None)
        elif name == "proxy_set_header":
            if args[0].lower() == "host" and args[1] == "":
                raise Skip("a request to an upstream without Host")
            location.proxy_headers.append((args[0], args[1]))
        elif name.startswith("echo"):
            self._echo(name, args, location)
        elif name == "default_type":
            location.type = args[0]
        elif name == "add_header":
            location.add_headers.append((args[0], args[1]))
        elif name == "lua_need_request_body":
            location.need_body = args[0] == "on" or None
        elif name in ("set_real_ip_from", "real_ip_header", "real_ip_recursive"):
            self._real_ip(d)
        elif name in TIMEOUTS:
            self.settings["nginx_http_" + name] = args[0]
        elif name in SETTINGS:
            value = args[0]
            if name == "lua_ssl_trusted_certificate":
                value = self._path(value)
            self.settings[SETTINGS[name]] = value
        elif name == "lua_code_cache":
            if args[0] == "off":
                raise Skip("lua_code_cache off")
        elif name in IGNORED:
            pass
        else:
            raise Skip("directive %s" % name)

    def _return(self, args, location):
        code, text = (args + [None])[:2]
        if not code.isdigit():
            code, text = "302", code
        location.ops.append({"op": "return", "code": int(code), "text": text})

    def _echo(self, name, args, location):
        if name == "echo":
            end = "\n"
            if args and args[0] == "-n":
                args, end = args[1:], ""
            if args and args[0] == "--":
                args = args[1:]
            location.echo = (location.echo or []) + [("echo", " ".join(args) + end)]
        elif name in ("echo_sleep", "echo_flush", "echo_status", "echo_read_request_body", "echo_request_body"):
            location.echo = (location.echo or []) + [(name, args[0] if args else "")]
        elif name == "echo_location":
            location.echo = (location.echo or []) + [(name, " ".join(args))]
        else:
            raise Skip("directive %s" % name)
        location.lua.pop("content", None)

    # === what the run needs ===

    def target(self, text):
        """Where a proxy_pass goes."""
        m = re.match(r"^(https?|\$\w+)://(.*)$", text, re.S)
        if not m:
            raise Skip("proxy_pass %s" % text)
        rest = m.group(2)
        if rest.startswith("unix:"):
            address, _, uri = rest[5:].partition(":")
            address = "unix:" + re.sub("/+", "/", address)
        else:
            address, slash, uri = rest.partition("/")
            uri = slash + uri
            address = self.upstreams.get(address, address)
            if not address.startswith("unix:"):
                host, _, port = address.partition(":")
                host = "127.0.0.1" if host == "localhost" else host
                address = "%s:%s" % (host, port or 80)
            else:
                address = "unix:" + re.sub("/+", "/", address[5:])
        for known, port, tls in self.relays:
            if re.sub("/+", "/", known) == address:
                if tls:
                    plain, port = port, self._ports()
                    self.relays.append(("127.0.0.1:%d" % port, plain, tls))
                secure = bool(tls) or port in self.tls_ports
                return {"host": "127.0.0.1", "port": port, "uri": uri or None, "tls": secure or None}
        if address.startswith("unix:"):
            raise Skip("proxy_pass to a socket that no server has")
        host, _, port = address.rpartition(":")
        return {"host": host, "port": int(port) if port.isdigit() else port, "uri": uri or None}

    def tables(self):
        """The block as handler.lua reads it."""
        servers = {}
        for port, server in self.servers.items():
            servers[port] = {"locations": [x.table() for x in server["locations"]],
                             "default": server["default"].table()}
        return "return " + lua({"name": self.name, "root": self.root, "path": self.path,
                                "dicts": list(self.dicts), "servers": servers, "init": self.init or None,
                                "bare": self.bare or None, "front": self.front,
                                "library": bool(self.library) or None})

    def key(self):
        """Blocks with the same key can share a gateway: `init_by_lua` can be run later, `init_worker_by_lua` not."""
        alone = (self.root,) if self.init_worker else ()
        return repr((alone, sorted(self.settings.items()), self.sections.get("log_level")))


class Location:
    """A location, or what one inherits."""

    def __init__(self):
        self.kind, self.path, self.ops, self.lua = "", "/", [], {}
        self.echo = self.proxy = self.type = self.need_body = None
        self.add_headers, self.proxy_headers = [], []

    def copy(self):
        other = Location()
        other.lua, other.type, other.need_body = dict(self.lua), self.type, self.need_body
        other.lua.pop("content", None)
        other.add_headers, other.proxy_headers = list(self.add_headers), list(self.proxy_headers)
        return other

    def resolve(self, block):
        if isinstance(self.proxy, str):
            if not any(name.lower() == "host" for name, _ in self.proxy_headers):
                host = re.match(r"^[^:]+://(?:unix:|([^/]+))", self.proxy)
                self.proxy_headers.insert(0, ("Host", host and host.group(1) or "localhost"))
            self.proxy = block.target(self.proxy)

    def table(self):
        return {"kind": self.kind, "path": self.path, "ops": self.ops, "lua": self.lua, "echo": self.echo,
                "proxy": self.proxy, "type": self.type, "need_body": self.need_body,
                "add_headers": self.add_headers or None, "proxy_headers": self.proxy_headers or None}
