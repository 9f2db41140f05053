"""The table of results that the repository keeps (figures.md): a section for each suite, a row for each file.

Must not: hold any text of a checkout.
"""

import collections
import os
import re

HEAD = """# What passes of others' test blocks

Test::Nginx blocks of Kong (`t/01-pdk`), lua-nginx-module and lua-resty-core, run on the gateway by `run.py` from checkouts;
`make blocks KONG=path NGX_LUA=path RESTY_CORE=path` compares with this table and fails when a file passes fewer. The
last column says what mainly stands behind the failures of a file. `run.py --record` writes the numbers anew and keeps the reasons.
The section Libraries is of Lua libraries' own tests, blocks and busted specs, with the libraries unmodified in front of the
gateway's modules: `make blocks LIBS=folder`, a folder of checkouts, by `libs.py`.
"""
LIBRARIES = "Libraries"
COLUMNS = "| file | passed | failed | skipped | what is behind the failures |\n|---|--:|--:|--:|---|\n"


def suite(checkout):
    """The section that a checkout belongs to."""
    if os.path.isdir(checkout + "/kong/pdk"):
        return "Kong"
    return "lua-resty-core" if os.path.isdir(checkout + "/lib/resty/core") else "lua-nginx-module"


def read(path):
    """Sections: their rows by file, [passed, failed, skipped, why], and the text after the table."""
    sections, current = collections.OrderedDict(), None
    if not os.path.exists(path):
        return sections
    with open(path, encoding="utf-8") as f:
        for line in f:
            title = re.match(r"## (.*)", line)
            row = re.match(r"\| ([^|]+?) \| (\d+) \| (\d+) \| (\d+) \| ?(.*?) ?\|$", line)
            if title:
                current = sections.setdefault(title.group(1), {})
            elif row and current is not None:
                current[row.group(1)] = [int(row.group(i)) for i in (2, 3, 4)] + [row.group(5)]
    return sections


def compare(path, name, table, partly=False):
    """What is worse than the table says of the section `name`; `partly`: of the rows that are in `table`."""
    wrong, rows = [], read(path).get(name, {})
    if not rows:
        return ["no figures for %s" % name]
    for file, row in rows.items():
        if partly and file not in table:
            continue
        passed = table[file][0] if file in table else 0
        if passed < row[0]:
            wrong.append("%s: %d passed, not %d" % (file, passed, row[0]))
    return wrong


def write(path, name, skips, table, partly=False):
    """Writes the section `name` anew; `partly`: keeps the rows that are not in `table`."""
    sections = read(path)
    before = sections.get(name, {})
    rows = {f: list(t) + [before.get(f, [0, 0, 0, ""])[3] if t[1] or t[2] and partly else ""] for f, t in table.items()}
    sections[name] = dict(sorted({**before, **rows}.items(), key=lambda r: r[0].lower())) if partly else rows
    kept, said = _notes(path), _said(path)
    if skips:
        kept[name] = "Skipped: " + "; ".join("%s %d" % (why, n) for why, n in skips.most_common()) + "."
    with open(path, "w", encoding="utf-8") as f:
        f.write(HEAD + said)
        for title, rows in sections.items():
            total = [sum(r[i] for r in rows.values()) for i in range(3)]
            f.write("\n## %s\n\n%d passed, %d failed, %d skipped.\n\n%s\n\n%s" % (
                title, *total, _wrapped(kept.get(title, "")),
                COLUMNS.replace("file", "library") if title == LIBRARIES else COLUMNS))
            for file, r in rows.items():
                f.write("| %s | %d | %d | %d | %s |\n" % (file, *r))


def _notes(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        parts = re.split(r"(?m)^## (.*)\n", f.read())
    notes = {}
    for title, text in zip(parts[1::2], parts[2::2]):
        m = re.search(r"(?ms)^(Skipped: .*?)\n\n", text)
        notes[title] = " ".join(m.group(1).split()) if m else ""
    return notes


def _said(path):
    """What stands before the first section beside the head: which builds the figures are of."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        text = f.read().split("\n## ")[0]
    paragraphs = [p.strip("\n") for p in text.split("\n\n")][2:]
    return "".join("\n" + p + "\n" for p in paragraphs if p)


def _wrapped(text):
    import textwrap
    return "\n".join(textwrap.wrap(text, 118, break_long_words=False))
