"""Which log lines are nginx's own debug output, and not a contract with Lua: told from the sources of a checkout.

Must not: keep any of them.
"""

import glob
import os
import re

# Of nginx's core, whose sources are not in the checkout.
CORE = ("http finalize request", "http close request", "http keepalive handler", "event timer", "http lingering close",
        "free keepalive connection", "free: ", "malloc: ", "http upstream", "http run request", "posix_memalign",
        "SSL: TLSv", "close http connection", "http proxy header", "reusable connection", "http output filter",
        "http write filter", "http copy filter", "http postpone filter", "tcp_nodelay", "http cleanup add",
        "http set discard body", "http chunked", "resolve name done", "client request body is buffered",
        "http client request body", "http read client request body", "http subrequest", "http wake parent",
        "http fetch cleanup", "http internal", "generic phase", "rewrite phase", "access phase", "post rewrite phase",
        "content phase", "using location", "http posted request", "http reinit", "http writer", "http cl:", "http body")


def formats(checkout):
    """The beginnings of debug messages, up to the first argument."""
    found = set()
    # lua-resty-core has no C; the module's may lie beside it
    folders = (checkout, os.path.dirname(checkout) + "/lua-nginx-module")
    for path in [p for f in folders for p in glob.glob(f + "/src/*.[ch]")]:
        with open(path, encoding="latin1") as f:
            text = f.read()
        for call in re.finditer(r"ngx_log_debug\d\s*\(([^;]*?)\);", text, re.S):
            parts = re.findall(r'"((?:[^"\\]|\\.)*)"', call.group(1))
            if parts:
                whole = re.sub(r"\\(.)", r"\1", "".join(parts)).split("%")
                found.update(p.strip() for p in whole if len(p.strip()) >= 9)
    return found | set(CORE)


class DebugLines:
    """Tells patterns that only debug output can match."""

    def __init__(self, checkout):
        self.known = formats(checkout)

    def __contains__(self, pattern):
        text = pattern["re"] if isinstance(pattern, dict) else pattern
        if "[TRACE" in text:
            return True  # of LuaJIT's own verbose mode
        if isinstance(pattern, dict):
            piece = re.split(r"[\\()\[\]|*+?{}^$.]", re.sub(r"^\(\?\^\w*:\^?", "", text))[0]
            if len(piece) >= 7 and any(k.startswith(piece) for k in self.known):
                return True
        if isinstance(pattern, dict):
            text = re.sub(r"\\(.)", r"\1", re.sub(r"^\(\?\^\w*:", "", text))
        head = text.strip()
        return any(k in text or (len(head) >= 9 and head in k) for k in self.known)
