# SPDX-License-Identifier: Apache-2.0
"""Reads the C headers of the ABI: structs with their fields, and constants.

The headers are the only list: what a test says about "every struct" or "every
enum" comes from here, so nothing can be left out of it.
"""

import pathlib
import re
from dataclasses import dataclass, field

HEADERS = ("types.h", "ops.h", "plugin.h")

STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\} (\w+);", re.S)
ENUM = re.compile(r"\benum \{(.*?)\}", re.S)
DEFINE = re.compile(r"^#define (TSR_\w+) (.+)$", re.M)
FUNCTION = re.compile(r"^(.*?)\(\*(\w+)\)\((.*)\)$")
MEMBER = re.compile(r"^(.*?[\s*])(\w+)((?:\[\w+\])*)$")
WORD = re.compile(r"\bTSR_\w+")
# Not values: they have no place in a layout.
NOT_CONSTANTS = re.compile(r"TSR_(TYPES|OPS|PLUGIN)_H$|TSR_EXPORT$")


@dataclass
class Field:
    name: str
    type: str  # as written, spaces normalized: "uint32_t", "char[240]"


@dataclass
class Struct:
    name: str
    by_value: bool  # embedded in others, so it never grows
    fields: list = field(default_factory=list)

    @property
    def grows(self):
        first = self.fields[0]
        return not self.by_value and (first.name == "struct_size" or
                                      first.type == "tsr_op")


@dataclass
class Abi:
    structs: list
    constants: list  # names, in the order of the headers


def strip_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def parse_field(text):
    text = " ".join(text.split())
    function = FUNCTION.match(text)
    if function:
        result, name, arguments = function.groups()
        return Field(name, f"{result.strip()}({arguments})")
    member = MEMBER.match(text)
    if not member:
        raise ValueError(f"cannot read the field: {text}")
    base, name, extent = member.groups()
    return Field(name, base.strip() + extent)


def comment_before(text, position):
    """The comment lines directly above `position`."""
    lines = text[:position].rstrip("\n").split("\n")
    comment = []
    while lines and lines[-1].startswith("//"):
        comment.append(lines.pop())
    return " ".join(line[2:].strip() for line in reversed(comment))


def parse_structs(text):
    structs = []
    for match in STRUCT.finditer(text):
        tag, body, name = match.groups()
        if tag != name:
            raise ValueError(f"struct {tag} is called {name}")
        by_value = "by value" in comment_before(text, match.start()).lower()
        fields = [parse_field(part)
                  for part in strip_comments(body).split(";") if part.strip()]
        structs.append(Struct(name, by_value, fields))
    return structs


def parse_constants(text):
    names = []
    for body in ENUM.findall(text):
        names += [entry.split("=")[0].strip()
                  for entry in body.split(",") if entry.strip()]
    for name, _ in DEFINE.findall(text):
        if not NOT_CONSTANTS.match(name):
            names.append(name)
    return names


def check_complete(path, text, structs, constants):
    """Raises if the header holds a struct or constant that was not read."""
    opened = len(re.findall(r"\bstruct (?:\w+ )?\{", text))
    if opened != len(structs):
        raise ValueError(f"{path}: read {len(structs)} structs of {opened}")
    for word in set(WORD.findall(text)):
        if word not in constants and not NOT_CONSTANTS.match(word):
            raise ValueError(f"{path}: {word} is neither an enum nor a define")


def read(folder):
    """The ABI that the headers in `folder`/tessera describe."""
    abi = Abi([], [])
    for header in HEADERS:
        path = pathlib.Path(folder) / "tessera" / header
        text = path.read_text()
        bare = strip_comments(text)
        structs = parse_structs(text)
        abi.structs += structs
        abi.constants += parse_constants(bare)
        check_complete(path, bare, structs, abi.constants)
    return abi
