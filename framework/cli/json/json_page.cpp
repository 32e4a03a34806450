// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

constexpr const char* kHead =
    "# JSON output\n\n"
    "<!-- Written by `tessera manual --json-page docs/json.md`, from what the "
    "commands declare. -->\n\n"
    "Every command prints one JSON value on stdout with `--json`. The keys "
    "below are stable: they keep their names, types and meanings; new ones "
    "may join them.\n"
    "Before it ends, a command holds its own output against this declaration, "
    "and `tessera manual --json-schema 'bench ops'` prints it as a JSON Schema "
    "(draft 2020-12).\n\n"
    "Times are nanoseconds, sizes bytes, rates tokens per second. A count is a "
    "whole number of at least 0, a flag is true or false, a map is an object "
    "whose keys are data. `X_ci95` is `[low, high]`, the 95 % interval of `X` "
    "(`[null, null]` where there was one document only). `a.b` is key `b` of "
    "the object `a`, `a[].b` of each object in the list `a`, `a.*` any value "
    "of the map `a`.\n"
    "A figure that cannot be had is `null`. Text that is no UTF-8 is shown "
    "with U+FFFD; `token_ids` are exact.\n\n"
    "Exit codes: 0 done; 1 the work failed, a file or a device is not as it "
    "must be, or a gate was missed (the JSON is printed all the same);\n"
    "2 the command line alone shows that it cannot work. An error is one line "
    "on stderr.\n\n"
    "`completion` and `manual` print what they are for, and take no "
    "`--json`.\n";

}  // namespace

std::string json_page() {
  std::string text = kHead;
  for (const OutputShape& shape : output_shapes()) {
    text += "\n" + markdown_of(shape);
  }
  return text;
}

}  // namespace tessera::cli
