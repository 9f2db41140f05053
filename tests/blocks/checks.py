"""Whether a block's responses and log lines are those that it expects, by Test::Nginx's rules, but for two things that
are nginx's own: the page for a status, and the headers that it adds to its responses.

Must not: run anything but match.pl.
"""

import json
import os
import re
import subprocess


class Perl:
    """Perl's regular expressions, by a process that lives on."""

    def __init__(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "match.pl")
        self.child = subprocess.Popen(["perl", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *what):
        self.child.stdin.write(json.dumps(what).encode() + b"\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def like(self, regex, text):
        regex = regex["re"] if isinstance(regex, dict) else regex
        return self.ask("like", regex, text) is True

    def grep(self, regex, lines):
        regex = regex["re"] if isinstance(regex, dict) else re.escape(regex)
        found = self.ask("grep", regex, lines)
        return found if isinstance(found, list) else []


# nginx's own page for a status; the gateway has its own, and it is the gateway's words that a client gets.
PAGE = re.compile(r"<(?:center|title|html|h1)>|\d{3} [A-Z][A-Za-z ]+(?:</|$)|\d{3} [A-Z]|^\d{3}$")


def is_own_page(body):
    """Whether a body is the gateway's own error answer."""
    return body.startswith('{\n  "message":') or body.startswith("{\"message\":") or "request_id: " in body[:400]


OWN_HEADER = re.compile(r"(?m)^(?:(?:received?|read): )?(?:Server|Date|Content-Type|Connection|Content-Length|Transfer-Encoding): .*\n")


def neutral(body):
    """Without the headers that a server adds to a response which a block reads by a socket, where there is one."""
    body = re.sub(r"(?m)^received response of \d+ bytes$", "received response of N bytes", body)
    if "HTTP/1." not in body:
        return body
    return re.sub(r"HTTP/1\.0 (?=2\d\d)", "HTTP/1.1 ", OWN_HEADER.sub("", body))


def indexed(value, i, many):
    if isinstance(value, list):
        return value[i] if i < len(value) else None
    return value


class Checker:
    """Collects what differs."""

    def __init__(self, block, perl, debug):
        self.block, self.perl, self.debug, self.wrong = block, perl, debug, []

    def _fail(self, what, want, got):
        self.wrong.append((what, want, got))

    def query(self, server):
        """What a one-answer server was asked."""
        for kind in ("tcp", "udp"):
            want, length = self.block.section(kind + "_query"), self.block.section(kind + "_query_len")
            got = getattr(server, "query", None)
            if got is None or self.block.section(kind + "_listen") is None:
                continue
            got = got.decode("latin1")
            if isinstance(want, str) and got != want or isinstance(want, dict) and not self.perl.like(want, got):
                self._fail(kind + "_query", want, got)
            if length is not None and len(got) != int(length):
                self._fail(kind + "_query_len", length, len(got))

    def response(self, r, i, many):
        """One response, the i-th."""
        b = self.block
        like = indexed(b.section("error_code_like"), i, many)
        code = indexed(b.section("error_code"), i, many)
        status = str(r.status) if r else ""
        if like is not None:
            if not self.perl.like(like, status):
                self._fail("error_code_like", like, status)
        elif status != str(code if code is not None else 200).strip():
            self._fail("error_code", code or 200, status + ("\n" + r.body[:600] if r else " (no response)"))
        if not r:
            return
        for name, wanted in (("raw_response_headers_like", True), ("raw_response_headers_unlike", False)):
            regex = indexed(b.section(name), i, many)
            if regex is not None and self.perl.like(regex, r.head) != wanted:
                self._fail(name, regex, r.head)
        self._headers(r, i, many)
        self._body(r, i, many)

    def _headers(self, r, i, many):
        exact = indexed(self.block.section("response_headers"), i, many)
        like = indexed(self.block.section("response_headers_like"), i, many)
        for line in (exact if exact is not None else like or "").split("\n"):
            line = line.strip()
            if not line:
                continue
            absent = re.match(r"^!\s*(.*)$", line)
            if absent:
                if re.search(r"(?im)^\s*%s\s*:" % re.escape(absent.group(1)), r.head):
                    self._fail("response_headers", line, r.head)
                continue
            key, _, value = line.partition(":")
            key, value, got = key.strip(), value.strip(), r.header(key.strip())
            if exact is not None and got != value:
                self._fail("response_headers", line, "%s: %s" % (key, got))
            elif exact is None and not self.perl.like("^(?:%s)$" % value, got):
                self._fail("response_headers_like", line, "%s: %s" % (key, got))

    def _body(self, r, i, many):
        b = self.block
        body = r.body
        want = b.section("response_body")
        if want is not None:
            want = indexed(want, i, many)
            if isinstance(want, dict):
                if not self.perl.like(want, body) and not self._page(want["re"], r):
                    self._fail("response_body (regex)", want["re"], body)
            elif want is not None and neutral(body) != neutral(want) and not self._page(want, r):
                self._fail("response_body", want, body + ("" if r.whole else "\n(cut)"))
            return
        for name, wanted in (("response_body_like", True), ("response_body_unlike", False)):
            regex = indexed(b.section(name), i, many)
            if regex is None:
                continue
            if self.perl.like(regex, body) != wanted:
                plain = regex["re"] if isinstance(regex, dict) else regex
                if not (wanted and self._page(plain, r)):
                    self._fail(name, plain, body)
            return

    def _page(self, want, r):
        return r.status >= 300 and PAGE.search(want) and is_own_page(r.body)

    def log(self, lines, unexpected_only=False):
        """The lines of the error log; what is missing, so that a caller can wait for it."""
        b, missing = self.block, []
        pattern = indexed(b.section("grep_error_log"), 0, False)
        if pattern is not None and pattern not in self.debug:
            want = indexed(b.section("grep_error_log_out"), 0, False)
            found = "".join(m + "\n" for m in self.perl.grep(pattern, lines) if "\n" not in m)
            if isinstance(want, dict):
                if not self.perl.like(want, found):
                    missing.append(("grep_error_log_out", want["re"], found))
            elif found != want:
                missing.append(("grep_error_log_out", want, found))
        for p in self._patterns("error_log"):
            if p in self.debug:
                continue
            if not self._in(p, lines):
                missing.append(("error_log", p, "".join(lines[-12:])))
        for p in self._patterns("no_error_log"):
            hit = self._in(p, lines)
            if hit:
                missing.append(("no_error_log", p, hit))
        return missing

    def _in(self, pattern, lines):
        # Test::Nginx's server listens on all addresses, the gateway of a run on one
        if isinstance(pattern, dict):
            pattern = {**pattern, "re": pattern["re"].replace(r"server: 0\.0\.0\.0", r"server: 127\.0\.0\.1")}
        if isinstance(pattern, dict):
            hits = self.perl.ask("grep", pattern["re"], lines)
            if hits and isinstance(hits, list):
                return hits[0] or " "
            return None
        return next((line for line in lines if pattern in line), None)

    def _patterns(self, name):
        value = self.block.section(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [p for p in re.split(r"\n+", value.rstrip("\n")) if p]
        if isinstance(value, dict):
            return [value]
        return [p for p in value if p]
