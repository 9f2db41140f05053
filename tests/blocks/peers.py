"""Servers that blocks talk to: a small memcached, the one-answer servers of Test::Nginx, relays to the gateway.

Must not: know what a block expects.
"""

import os
import re
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
import types

from wire import parse


def _quiet(f):
    def run(*args):
        try:
            f(*args)
        except (OSError, ValueError):
            pass
    return run


def listener(address):
    """A listening socket on `unix:PATH` or `HOST:PORT`."""
    if address.startswith("unix:"):
        path = address[5:]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            os.unlink(path)
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
    else:
        host, _, number = address.rpartition(":")
        s = socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host.strip("[]"), int(number)))
    s.listen(128)
    return s


def black_hole(host, port):
    """Sockets that make an address silent, as the blocks expect of a packet filter: who connects waits for ever."""
    held = [socket.socket()]
    try:
        held[0].bind((host, port))
    except OSError:
        return held  # another run's is there
    held[0].listen(0)
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((host, port))
        held.append(s)
    return held


class Server:
    """Threads that accept until the end."""

    def __init__(self, s, serve):
        self.socket = s
        self._serve = _quiet(serve)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self):
        """No more connections."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def relay(address, port, tls=None):
    """Passes connections on to a port of the gateway; what `tls` says of them is between client and relay."""
    context = tls and tls_context(tls)

    def serve(client):
        if context:
            client.settimeout(10)
            client = context.wrap_socket(client, server_side=True)
            _pass_on(client, socket.create_connection(("127.0.0.1", port), timeout=5))
            return
        server = socket.create_connection(("127.0.0.1", port), timeout=5)
        server.settimeout(None)
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()
        client.close()
        server.close()

    return Server(listener(address), serve)


class Front:
    """A relay that makes of the gateway's answers what nginx makes of its own, for blocks that read them by a socket:
    the version, the headers and their order, chunks where there is no length."""

    def __init__(self, address, port, tls=None, date=True, idle=None):
        self.port, self.date, self.idle = port, date, idle
        self.context = tls and tls_context(tls)
        self.server = Server(listener(address), self._serve)

    def close(self):
        self.server.close()

    def _serve(self, client):
        client.settimeout(30)
        if self.context:
            client = self.context.wrap_socket(client, server_side=True)
        data = b""
        with client:
            while True:
                head, data = self._until(client, data)
                # what is no head of lines with CR LF is the gateway's alone
                if not re.match(rb"[A-Z]+ /", head) or b"\r\nUpgrade:" in head or b"\r\n\r\n" not in head:
                    return self._raw(client, head + data)
                length = re.search(rb"(?i)\r\nContent-Length: *(\d+)", head)
                wanted = int(length.group(1)) if length else 0
                while self.context and len(data) < wanted:
                    data += self._more(client)
                body, data = data[:wanted], data[wanted:]
                keep = b" HTTP/1.1\r\n" in head and not re.search(rb"(?i)\r\nConnection: *close", head)
                rest = [wanted - len(body)]
                self._answer(client, head, body, keep, lambda server: self._hand_on(client, server, rest))
                keep = keep and not rest[0]
                if not keep:
                    return
                client.settimeout(self.idle or 30)

    def _until(self, client, data):
        while b"\r\n\r\n" not in data:
            if b"\n\n" in data:
                return data, b""
            data += self._more(client)
            if not re.match(rb"[A-Z]", data):
                return data, b""
        end = data.index(b"\r\n\r\n") + 4
        return data[:end], data[end:]

    @staticmethod
    def _more(client):
        data = client.recv(65536)
        if not data:
            raise OSError("the client has ended")
        return data

    def _raw(self, client, data):
        server = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        server.sendall(data)
        _pass_on(client, server)

    @_quiet
    def _hand_on(self, client, server, rest):
        """The rest of a body, as it comes."""
        while rest[0]:
            data = client.recv(min(rest[0], 65536))
            if not data:
                return server.shutdown(socket.SHUT_WR)
            server.sendall(data)
            rest[0] -= len(data)

    def _answer(self, client, head, body, keep, hand_on):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as server, server.makefile("rb") as got:
            lines = [x for x in head[:-4].split(b"\r\n") if not x.lower().startswith(b"connection:")]
            server.sendall(b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + body)
            threading.Thread(target=hand_on, args=(server,), daemon=True).start()
            first = b"HTTP/1.1 100"
            while first.startswith(b"HTTP/1.1 100"):
                first = b"".join(iter(got.readline, b"\r\n")) + b"\r\n"
            response, _ = parse(first, True)
            if response is None:
                raise OSError("no answer")
            chunked = b" HTTP/1.1\r\n" in head
            if head.startswith(b"HEAD ") or response.status in (204, 304):
                pieces = iter(())
            elif response.header("transfer-encoding") == "chunked":
                pieces = _chunks(got)
            else:
                pieces = iter((got.read(),))
            if not chunked:
                pieces = iter((b"".join(pieces),))
            piece = next(pieces, b"")
            ahead = self._head(first, response, keep, None if chunked else len(piece))
            while piece:
                client.sendall(ahead + (b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece))
                ahead, piece = b"", next(pieces, b"")
            client.sendall(ahead + (b"0\r\n\r\n" if chunked else b""))

    def _head(self, first, response, keep, length):
        out = ["HTTP/1.1 " + first[9:first.index(b"\r\n")].decode("latin1"), "Server: nginx"]
        if self.date:
            out.append("Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
        out.append("Content-Type: " + (response.header("content-type") or "text/plain"))
        out.append("Transfer-Encoding: chunked" if length is None else "Content-Length: %d" % length)
        out.append("Connection: " + ("keep-alive" if keep else "close"))
        own = ("server", "date", "content-type", "content-length", "transfer-encoding", "connection")
        out += ["%s: %s" % (n, v) for n, v in response.headers if n.lower() not in own]
        return ("\r\n".join(out) + "\r\n\r\n").encode("latin1")


def _chunks(f):
    """The chunks of a body, as they come."""
    while True:
        n = int(f.readline().split(b";")[0] or b"0", 16)
        if n == 0:
            return
        data = f.read(n)
        f.readline()
        yield data


def tls_context(tls):
    """Of a server block's ssl_* directives."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["ssl_certificate"], tls["ssl_certificate_key"])
    names = {"TLSv1": "TLSv1", "TLSv1.1": "TLSv1_1", "TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}
    wanted = [names[p] for p in (tls.get("ssl_protocols") or "").split() if p in names]
    if wanted:
        versions = [getattr(ssl.TLSVersion, w) for w in wanted]
        context.minimum_version, context.maximum_version = min(versions), max(versions)
        context.set_ciphers("ALL:@SECLEVEL=0")
    if tls.get("ssl_ciphers"):
        context.set_ciphers(tls["ssl_ciphers"])
    if tls.get("ssl_client_certificate"):
        context.load_verify_locations(tls["ssl_client_certificate"])
    if tls.get("ssl_verify_client") == "on":
        context.verify_mode = ssl.CERT_REQUIRED
    elif tls.get("ssl_verify_client") in ("optional", "optional_no_ca"):
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _pass_on(client, server):
    """Both directions in one thread: an SSLSocket must not be read and written at once."""
    with client, server:
        while True:
            held = isinstance(client, ssl.SSLSocket) and client.pending()
            ready = [client] if held else select.select([client, server], [], [], 30)[0]
            if not ready:
                return
            for a in ready:
                data = a.recv(65536)
                if data:
                    (server if a is client else client).sendall(data)
                elif a is client:
                    return
                else:
                    try:
                        client.unwrap()
                    except (AttributeError, OSError, ValueError):
                        pass
                    return


@_quiet
def _pump(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data:
                break
            b.sendall(data)
    finally:
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Memcached:
    """What blocks use of memcached, over TCP and UDP."""

    def __init__(self, port):
        self.items, self.stored, self.port = {}, 0, port
        self.tcp = Server(listener("127.0.0.1:%d" % port), self._serve)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", port))
        threading.Thread(target=_quiet(self._datagrams), daemon=True).start()

    def _serve(self, client):
        f = client.makefile("rb")
        while True:
            line = f.readline()
            if not line:
                return
            answer = self._answer(line.decode("latin1").split(), f)
            if answer is None:
                client.close()
                return
            client.sendall(answer)

    def _datagrams(self):
        import io
        while True:
            data, peer = self.udp.recvfrom(65536)
            f = io.BytesIO(data[8:])
            out = b""
            for line in iter(f.readline, b""):
                out += self._answer(line.decode("latin1").split(), f) or b""
            self.udp.sendto(data[:8] + out, peer)

    def _answer(self, words, f):
        name = words[0] if words else ""
        if name in ("set", "add", "replace", "append", "prepend", "cas"):
            return self._store(name, words, f.read(int(words[4]) + 2)[:-2])
        if name in ("get", "gets"):
            out = b""
            for key in words[1:]:
                item = self._item(key)
                if item:
                    cas = " %d" % item.cas if name == "gets" else ""
                    head = "VALUE %s %s %d%s\r\n" % (key, item.flags, len(item.value), cas)
                    out += head.encode("latin1") + item.value + b"\r\n"
            return out + b"END\r\n"
        if name == "delete":
            found = self._item(words[1])
            self.items.pop(words[1], None)
            return b"DELETED\r\n" if found else b"NOT_FOUND\r\n"
        if name in ("incr", "decr"):
            item = self._item(words[1])
            if not item:
                return b"NOT_FOUND\r\n"
            n = int(item.value) + (1 if name == "incr" else -1) * int(words[2])
            self._put(words[1], item.flags, b"%d" % n, item.until)
            return b"%d\r\n" % n
        if name == "touch":
            item = self._item(words[1])
            if not item:
                return b"NOT_FOUND\r\n"
            item.until = _until(words[2])
            return b"TOUCHED\r\n"
        if name == "flush_all":
            end = time.time() + int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
            for item in self.items.values():
                item.until = min(item.until or end, end) if end else 1
            return b"OK\r\n"
        if name == "version":
            return b"VERSION 1.6.18\r\n"
        if name == "verbosity":
            return b"OK\r\n"
        if name == "stats":
            line = {"items": "items:1:number %d" % len(self.items), "sizes": "96 %d" % len(self.items)}
            return ("STAT %s\r\nEND\r\n" % line.get("".join(words[1:]), "pid %d" % os.getpid())).encode()
        if name == "quit":
            return None
        return b"ERROR\r\n"

    def _item(self, key):
        item = self.items.get(key)
        if item and item.until and item.until <= time.time():
            del self.items[key]
            return None
        return item

    def _put(self, key, flags, value, until):
        self.stored += 1
        self.items[key] = types.SimpleNamespace(flags=flags, value=value, until=until, cas=self.stored)

    def _store(self, name, words, value):
        key, item = words[1], self._item(words[1])
        if name == "cas":
            if not item:
                return b"NOT_FOUND\r\n"
            if str(item.cas) != words[5]:
                return b"EXISTS\r\n"
        elif item and name == "add" or not item and name in ("replace", "append", "prepend"):
            return b"NOT_STORED\r\n"
        if name in ("append", "prepend"):
            item.value = item.value + value if name == "append" else value + item.value
        else:
            self._put(key, words[2], value, _until(words[3]))
        return b"STORED\r\n"


def _until(text):
    """When an item of memcached ends; 0 for never."""
    n = int(text)
    return 0 if n == 0 else 1 if n < 0 else n if n > 30 * 86400 else time.time() + n


def redis(folder, port, password=""):
    """Debian's redis-server, where it is installed."""
    if not shutil.which("redis-server"):
        return None
    return subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder,
                             "--requirepass", password],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bytes_of(value):
    return value.encode("latin1") if isinstance(value, str) else b""


class OneAnswer:
    """`tcp_listen`: reads a query, sends a reply, and so on for each connection."""

    def __init__(self, block):
        self.block, self.query = block, b""
        target = block.section("tcp_listen").strip()
        if target.isdigit():
            target = "127.0.0.1:" + target
        elif not target.startswith("unix:"):
            target = "unix:" + target
        reply = block.section("tcp_reply")
        self.reply = [bytes_of(x) for x in reply] if isinstance(reply, list) else [bytes_of(reply)]
        query, length = block.section("tcp_query"), block.section("tcp_query_len")
        self.wanted = int(length) if length else len(query) if query else 1
        self.delay = _seconds(block.section("tcp_reply_delay"))
        self.server = Server(listener(target), self._serve)

    def _serve(self, client):
        client.settimeout(10)
        shut = self.block.section("tcp_shutdown")
        shut = None if shut is None else int(shut.strip())
        if shut is not None:
            client.shutdown(shut)
        query = b""
        while len(query) < self.wanted:
            data = client.recv(4096)
            if not data:
                break
            query += data
        self.query = query
        time.sleep(self.delay)
        for part in self.reply if shut in (None, 0) else []:
            client.sendall(part)
            if len(self.reply) > 1:
                time.sleep(0.01)
        if self.block.section("tcp_no_close") is not None:
            time.sleep(10)
        client.close()

    def close(self):
        self.server.close()


class OneDatagram:
    """`udp_listen`: a datagram in, one or several out."""

    def __init__(self, block, folder):
        self.query = b""
        target = block.section("udp_listen").strip()
        if target.isdigit():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", int(target)))
        else:
            target = os.path.join(folder, target)
            if os.path.exists(target):
                os.unlink(target)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(target)
        self.socket.settimeout(0.1)
        reply = block.section("udp_reply")
        self.reply = [bytes_of(x) for x in reply] if isinstance(reply, list) else [bytes_of(reply)]
        self.delay = _seconds(block.section("udp_reply_delay"))
        self.over = False
        self.thread = threading.Thread(target=_quiet(self._serve), daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.over:
            try:
                self.query, peer = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            time.sleep(self.delay)
            for part in self.reply:
                self.socket.sendto(part, peer)

    def close(self):
        # a socket that a thread waits for would keep its port
        self.over = True
        self.thread.join(timeout=1)
        self.socket.close()


def _seconds(text):
    if text is None:
        return 0
    text = str(text).strip()
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.rstrip("s") or 0)
