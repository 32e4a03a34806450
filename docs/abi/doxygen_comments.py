# SPDX-License-Identifier: Apache-2.0
"""Prints a header with its plain comments as Doxygen's; an input filter.

Usage: doxygen_comments.py HEADER

The first paragraph of a comment becomes the brief description; what follows keeps its columns, as the labels and
drawings of our contracts need.
"""

import re
import sys

COMMENT = re.compile(r"^(\s*)// ?(.*)$")
TRAILING = re.compile(r"^(?P<code>.*\S.*?)\s+// (?P<text>.*)$")
RULE = re.compile(r"-{4,}\s*(.*?)\s*-*$")
LABEL = re.compile(r"[\w*]+(?: [\w*]+)?  +\S")
# What Doxygen would read as a command, a tag or a link that is none.
SPECIAL = re.compile(r"([\\@&<>#%$])")


def escaped(text):
    """As Doxygen shows it unchanged; what is in back quotes as code."""
    plain = SPECIAL.sub(r"\\\1", text).replace("::", "\\::")
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", plain)


def paragraphs(lines):
    """The first paragraph, and the rest."""
    end = next((i for i, line in enumerate(lines) if not line.strip()), len(lines))
    # A label in the first paragraph already begins the columns.
    label = next((i for i, line in enumerate(lines[:end]) if i > 0 and LABEL.match(line)), end)
    end = min(end, label)
    return lines[:end], lines[end:]


def block(indent, lines, is_file):
    """A comment of its own before a declaration."""
    first, rest = paragraphs(lines)
    text = [f"{indent}/** " + ("\\file\n" if is_file else "") + f"{indent}\\brief " + " ".join(escaped(line.strip()) for line in first)]
    while rest and not rest[0].strip():
        rest = rest[1:]
    if rest:
        text += ["", f"{indent}\\verbatim", *rest, f"{indent}\\endverbatim"]
    return text + [f"{indent}*/"]


def is_declaration(line):
    """Whether a comment above `line` is of what it declares."""
    return bool(line.strip()) and not line.lstrip().startswith(("#", "}", "public:", "private:", "protected:", "return", "if ", "for "))


def convert(source):
    lines = source.splitlines()
    result = []
    at = 0
    while at < len(lines):
        found = COMMENT.match(lines[at])
        if not found:
            result.append(trailing(lines[at]))
            at += 1
            continue
        begin = at
        while at < len(lines) and COMMENT.match(lines[at]):
            at += 1
        # Text must not end the comment that it is put into, nor begin one.
        texts = [COMMENT.match(line)[2].replace("*/", "* /").replace("/*", "/ *") for line in lines[begin:at]]
        if begin == 0 and texts[0].startswith("SPDX"):
            # The licence, and the blank line below it.
            result += block("", texts[2:] or [""], True)
        elif RULE.fullmatch(texts[0]) or at == len(lines) or not is_declaration(lines[at]):
            result += lines[begin:at]
        else:
            result += block(found[1], texts, False)
    return "\n".join(result) + "\n"


def trailing(line):
    """`int a;  // text` as a comment of `a`."""
    found = TRAILING.match(line)
    if not found or not re.search(r"[,;]$|^\s*\w+(?: = [^,]*)?$", found["code"]) or found["code"].lstrip().startswith(("#", "return", "}")):
        return line
    return f"{found['code']}  /**< {escaped(found['text'].replace('*/', '* /').replace('/*', '/ *'))} */"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(convert(file.read()))
