"""nginx's configuration language, as far as Test::Nginx blocks use it: text to a tree of directives.

Must not: know what a directive means (convert.py does).
"""

import re


class Refused(Exception):
    """Text that nginx would refuse, or that this parser cannot read."""


class Directive:
    """A directive: its name, its arguments (quotes taken off), its block (directives, or Lua text)."""

    __slots__ = ("name", "args", "block", "lua", "line", "end")

    def __init__(self, name, args, line):
        self.name, self.args, self.line, self.end = name, args, line, line
        self.block = self.lua = None


_LONG = re.compile(r"\[(=*)\[")


def lua_end(text, at):
    """The place after the `}` that closes a Lua block whose inside begins at `at`."""
    depth, n = 1, len(text)
    while at < n:
        c = text[at]
        if c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                return at + 1
        elif c in "'\"":
            at = _string_end(text, at)
            continue
        elif text.startswith("--", at):
            long = _LONG.match(text, at + 2)
            if long:
                end = text.find("]" + long.group(1) + "]", at)
                at = n if end < 0 else end + len(long.group(1)) + 2
            else:
                end = text.find("\n", at)
                at = n if end < 0 else end
            continue
        elif c == "[":
            long = _LONG.match(text, at)
            if long:
                end = text.find("]" + long.group(1) + "]", at)
                at = n if end < 0 else end + len(long.group(1)) + 2
                continue
        at += 1
    raise Refused("Lua block without an end")


def _string_end(text, at):
    quote, at = text[at], at + 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == quote:
            return at + 1
        at += 1
    raise Refused("string without an end")


_UNESCAPED = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}


def _word(text, at):
    """One word from `at`: (its text, was it quoted, the place after it)."""
    out, n = [], len(text)
    if text[at] in "'\"":
        quote, at = text[at], at + 1
        while at < n and text[at] != quote:
            if text[at] == "\\" and at + 1 < n:
                out.append(_UNESCAPED.get(text[at + 1], "\\" + text[at + 1]))
                at += 2
                continue
            out.append(text[at])
            at += 1
        if at >= n:
            raise Refused("string without an end")
        return "".join(out), True, at + 1
    while at < n:
        c = text[at]
        if c.isspace() or c == ";":
            break
        if c == "{" and not (out and out[-1] == "$"):
            break
        if c == "{":
            end = text.find("}", at)
            if end < 0:
                raise Refused("variable without an end")
            out.append(text[at:end + 1])
            at = end + 1
            continue
        if c == "\\" and at + 1 < n:
            out.append(_UNESCAPED.get(text[at + 1], "\\" + text[at + 1]))
            at += 2
            continue
        out.append(c)
        at += 1
    return "".join(out), False, at


def parse(text, line=1):
    """The directives of a text."""
    directives, at = _parse(text, 0, line, False)
    return directives


def _parse(text, at, line, inside):
    directives, current, n = [], None, len(text)
    while at < n:
        c = text[at]
        if c == "\n":
            line += 1
            at += 1
        elif c.isspace():
            at += 1
        elif c == "#":
            end = text.find("\n", at)
            at = n if end < 0 else end
        elif c == ";":
            if current is not None:
                current.end = line
                directives.append(current)
            current, at = None, at + 1
        elif c == "}":
            if not inside or current is not None:
                raise Refused('unexpected "}"')
            return directives, at + 1
        elif c == "{":
            if current is None:
                raise Refused('unexpected "{"')
            if current.name.endswith("_by_lua_block"):
                end = lua_end(text, at + 1)
                current.lua = text[at + 1:end - 1]
            else:
                current.block, end = _parse(text, at + 1, line, True)
            line += text.count("\n", at, end)
            directives.append(current)
            current, at = None, end
        else:
            word, _, end = _word(text, at)
            if current is None:
                current = Directive(word, [], line)
            else:
                current.args.append(word)
            line += text.count("\n", at, end)
            at = end
    if inside or current is not None:
        raise Refused("unexpected end of file")
    return directives, at
