# SPDX-License-Identifier: Apache-2.0
"""Writes a copy of the SDK's headers as the next minor version of the ABI, and
the host's table of functions as that version would have it.

Usage: next_minor.py INCLUDE API_TABLE OUTPUT

Every struct that may grow gets two more fields, the table of functions one more
function, and the enums new values, as a real next version might bring. A host
of one version and a plugin of the other must work together.
"""

import pathlib
import re
import shutil
import sys

import abi_headers

FIELDS = "  uint32_t next_minor;\n  uint32_t next_minor_reserved;\n"
FUNCTION = """  tsr_status (*next_minor)(tsr_device* device, tsr_error* err,
                           uint32_t* out_value);
"""
ROW = "    TSR_ROW(next_minor, kOptional),\n"
# After which constant each new one comes.
CONSTANTS = {
    "TSR_OP_GATHER_ROWS": "TSR_OP_NEXT_MINOR = 13",
    "TSR_I64": "TSR_DTYPE_NEXT_MINOR = 14",
    "TSR_WEIGHT_IQ4_NL": "TSR_WEIGHT_NEXT_MINOR = 26",
    "TSR_PLANE_QUANT_BIAS": "TSR_PLANE_NEXT_MINOR = 13",
    "TSR_KV_I8_HEAD": "TSR_KV_NEXT_MINOR = 7",
    "TSR_REFUSED_EXTENSION": "TSR_REFUSED_NEXT_MINOR = 9",
    "TSR_DETERMINISM_PORTABLE": "TSR_DETERMINISM_NEXT_MINOR = 3",
    "TSR_ERROR_HALF_PRODUCTS": "TSR_ERROR_NEXT_MINOR = 5",
}


def replace_once(text, old, new):
    if text.count(old) != 1:
        raise ValueError(f"{old!r} occurs {text.count(old)} times")
    return text.replace(old, new)


def add_fields(text):
    for struct in abi_headers.parse_structs(text):
        if not struct.grows:
            continue
        added = FUNCTION if struct.name == "tsr_api" else FIELDS
        text = replace_once(text, f"}} {struct.name};",
                            f"{added}}} {struct.name};")
    return text


def add_constants(text):
    for after, added in CONSTANTS.items():
        text = re.sub(rf"^(  {after} = \d+)(,?)", rf"\1,\n  {added},", text,
                      flags=re.M)
    return text


def add_row(text):
    return replace_once(text, "};\n// clang-format on\n",
                        f"{ROW}}};\n// clang-format on\n")


def write_headers(include, output):
    target = pathlib.Path(output) / "tessera"
    shutil.copytree(pathlib.Path(include) / "tessera", target,
                    dirs_exist_ok=True)
    for header in abi_headers.HEADERS:
        path = target / header
        text = add_constants(add_fields(path.read_text()))
        if header == "types.h":
            text = replace_once(text, "#define TSR_ABI_MINOR 0",
                                "#define TSR_ABI_MINOR 1")
        path.write_text(text)
    present = abi_headers.read(output).constants
    for added in CONSTANTS.values():
        if added.split()[0] not in present:
            raise ValueError(f"{added} was not added")


def main(include, api_table, output):
    write_headers(include, output)
    table = pathlib.Path(api_table)
    (pathlib.Path(output) / table.name).write_text(add_row(table.read_text()))


if __name__ == "__main__":
    main(*sys.argv[1:])
