"""Ports that no other run beside this one takes.

Must not: hand out one twice while another is left.
"""

import fcntl
import os
import socket
import tempfile
import threading

# 20000 to 20002 are where tests of lua-resty-dns want nobody
FIRST, LAST, SLICE = 20100, 31900, 100


def _locks(name):
    return open("%s/moongate-blocks-%d.%s" % (tempfile.gettempdir(), os.getuid(), name), "a+b")


class Ports:
    """Free ports, one after the other. They come from slices, each of which one run has: a byte of a file is locked for
    it, until the run or its process ends."""

    # closing any of several would give up the locks of all
    file = None

    def __init__(self):
        if not Ports.file:
            Ports.file = _locks("ports")
        self.lock, self.slices, self.next, self.left = threading.Lock(), [], 0, 0

    def __call__(self):
        with self.lock:
            while True:
                if not self.left:
                    self._slice()
                self.left -= 1
                port = self.next
                self.next += 1
                with socket.socket() as s:
                    try:
                        s.bind(("127.0.0.1", port))
                        return port
                    except OSError:
                        continue

    def _slice(self):
        self.left = SLICE
        for n in range((LAST - FIRST) // SLICE):
            if n in self.slices:
                continue
            try:
                fcntl.lockf(Ports.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, n)
            except OSError:
                continue
            self.slices.append(n)
            break
        else:
            # nothing is left: those that were had first are had again
            if not self.slices:
                raise OSError("all ports are another run's")
            self.slices.append(self.slices.pop(0))
        self.next = FIRST + self.slices[-1] * SLICE

    def close(self):
        """Gives all of them back."""
        for n in self.slices:
            fcntl.lockf(Ports.file, fcntl.LOCK_UN, 1, n)
        self.slices, self.left = [], 0


class Alone:
    """While it lasts, no other run has what can be had once (`with Alone("servers"):`); others wait."""

    def __init__(self, what):
        self.file = _locks(what)

    def __enter__(self):
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()
