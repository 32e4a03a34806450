// SPDX-License-Identifier: Apache-2.0
//
// Whose signatures count on this machine.

#pragma once

#include <map>
#include <string>
#include <string_view>

#include "framework/base/status.hpp"

namespace tessera {

// A file of lines: "key <64 hex digits> NAME", "require" for refusing plugins
// without the signature of a listed key, and comments behind #.
struct KeyList {
  std::map<std::string, std::string> names;  // by public key
  bool is_required = false;

  // Adds what another list says.
  void merge(const KeyList& other);
};

// Errors: INVALID_ARGUMENT, naming the line.
Result<KeyList> parse_key_list(std::string_view text);

// Errors: those of open_trusted() and of parse_key_list(), naming the file.
Result<KeyList> read_key_list(const std::string& path);

// /etc/tessera/keys together with XDG_CONFIG_HOME/tessera/keys, or
// ~/.config/tessera/keys; a file that is not there says nothing.
//
// Errors  those of a file that is there: a list that cannot be read must not
//         count as one that allows everything
Result<KeyList> trusted_keys();

}  // namespace tessera
