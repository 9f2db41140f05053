"""Requests on the wire, as Test::Nginx makes them, and what comes back.

Must not: judge what comes back (checks.py does).
"""

import re
import select
import socket
import time


class Response:
    """A response: status, raw head, headers in order, body."""

    def __init__(self, status, head, headers, body, whole):
        self.status, self.head, self.headers, self.body, self.whole = status, head, headers, body, whole

    def header(self, name):
        """All values of a header, joined."""
        return ", ".join(v for n, v in self.headers if n.lower() == name.lower())


def more_headers(text):
    """Header lines of a section; whether they say chunked."""
    out, chunked = [], False
    for line in re.split(r"\n+", text or ""):
        if not line or re.match(r"^\s*#", line):
            continue
        key, _, value = line.partition(":")
        value = value.lstrip()
        chunked = chunked or key.lower() == "transfer-encoding" and value == "chunked"
        out.append("%s: %s\r\n" % (key, value))
    return "".join(out), chunked


def build(text, headers, chunked, connection):
    """One request from `METHOD TARGET [VERSION]` and a body: its parts before and after the request line."""
    first, _, body = text.partition("\n")
    words = first.split()
    if not words:
        raise ValueError("no request line")
    method, target, version = (words + ["/", "HTTP/1.1"][len(words) - 1:])[:3] if len(words) < 3 else words[:3]
    length = ""
    if not chunked and body and not re.search(r"(?:^|\n)Content-Length:", headers):
        body = body.strip()
        length = "Content-Length: %d\r\n" % len(body)
    out = ""
    if not re.search(r"(?im)(?:^|\n)Host:", headers):
        out += "Host: localhost\r\n"
    if not re.search(r"(?im)(?:^|\n)Connection", headers):
        out += "Connection: %s\r\n" % connection
    return "%s %s %s\r\n%s%s%s\r\n%s" % (method, target, version, out, headers, length, body)


def requests(block):
    """The requests of a block: each a list of (delay before it, bytes); and how many responses each has."""
    raw = block.section("raw_request")
    if raw is not None:
        parts = raw if isinstance(raw, list) else [raw]
        return [[(0, p.encode("latin1")) for p in parts]], 1
    more, piped = block.section("more_headers"), block.section("pipelined_requests")
    def headers(i):
        return more_headers(more[i] if isinstance(more, list) else more)
    if piped is not None:
        out = ""
        for i, one in enumerate(piped):
            out += build(one, *headers(i), "close" if i == len(piped) - 1 else "keep-alive")
        return [[(0, out.encode("latin1"))]], len(piped)
    request = block.section("request")
    if isinstance(request, str):
        request = re.sub(r"^\s*#[^\n]+\s+|^\s+", "", request)
        return [[(0, build(request, *headers(0), "close").encode("latin1"))]], 1
    if not isinstance(request, list):
        raise ValueError("no request")
    out = []
    for i, one in enumerate(request):
        if isinstance(one, str):
            out.append([(0, build(one, *headers(i), "close").encode("latin1"))])
            continue
        parts = [p if isinstance(p, dict) else {"value": p} for p in one]
        whole = build("".join(p["value"] for p in parts), *headers(i), "close")
        # what follows the first part is body and goes as it is
        rest = "".join(p["value"] for p in parts[1:])
        cut = len(whole) - len(rest)
        pieces = [(0, whole[:cut].encode("latin1"))]
        for p in parts[1:]:
            pieces.append((float(p.get("delay_before", 0)), p["value"].encode("latin1")))
        out.append(pieces)
    return out, 1


def exchange(port, parts, timeout, middle_delay=0, shut=None):
    """Sends the parts, reads until the server closes. Returns the bytes and whether time ran out."""
    s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    got, pending = bytearray(), list(parts)
    buffer, deadline = b"", time.monotonic() + timeout
    hold = 0.0
    s.setblocking(False)
    try:
        while True:
            now = time.monotonic()
            if not buffer and pending and now >= hold:
                delay, buffer = pending.pop(0)
                if delay and not hold:
                    pending.insert(0, (0, buffer))
                    buffer, hold = b"", now + delay
                elif pending and middle_delay:
                    hold = now + middle_delay
                else:
                    hold = 0.0
            wait = max(0, (hold if pending and hold else deadline) - now)
            r, w, _ = select.select([s], [s] if buffer else [], [], min(wait, deadline - now if deadline > now else 0))
            if w:
                try:
                    buffer = buffer[s.send(buffer):]
                except (BrokenPipeError, ConnectionResetError):
                    buffer, pending = b"", []
                if not buffer and not pending and shut is not None:
                    s.shutdown(shut)
                deadline = time.monotonic() + timeout
            if r:
                try:
                    data = s.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return bytes(got), False
                got += data
                deadline = time.monotonic() + timeout
            if time.monotonic() > deadline:
                return bytes(got), True
    finally:
        s.close()


def parse(data, head_only):
    """One response from the front of `data`, and what is left of it. None where there is none."""
    data = data.decode("latin1")
    end = data.find("\r\n\r\n")
    m = re.match(r"HTTP/\d\.\d (\d+)", data)
    if end < 0 or not m:
        return None, ""
    head, rest = data[:end + 2], data[end + 4:]
    headers = []
    for line in head.split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name, value.strip()))
    status = int(m.group(1))
    by = {n.lower(): v for n, v in headers}
    if status == 100:
        return parse(rest.encode("latin1"), head_only)
    if head_only or status in (204, 304, 101):
        return Response(status, head, headers, "", True), rest
    if by.get("transfer-encoding") == "chunked":
        body, rest, whole = _chunked(rest)
        return Response(status, head, headers, body, whole), rest
    if by.get("content-length", "").isdigit():
        n = int(by["content-length"])
        return Response(status, head, headers, rest[:n], len(rest) >= n), rest[n:]
    return Response(status, head, headers, rest, True), ""


def _chunked(text):
    body = []
    while True:
        m = re.match(r"[ \t]*([0-9a-fA-F]+)[ \t]*\r\n", text)
        if not m:
            return "".join(body) + text, "", False
        n = int(m.group(1), 16)
        text = text[m.end():]
        if n == 0:
            trailer = re.match(r"(?:[^\r\n]+\r\n)*\r\n", text)
            return "".join(body), text[trailer.end():] if trailer else "", bool(trailer)
        body.append(text[:n])
        if len(text) < n + 2:
            return "".join(body), "", False
        text = text[n + 2:]
