// SPDX-License-Identifier: Apache-2.0
//
// Output of devices and plugin.

#include "framework/cli/json/output_shapes.hpp"

namespace tessera::cli {
namespace {

std::vector<Field> device_fields() {
  return {
      text("name", "what `--device` takes: `cpu`, `vulkan:0`"),
      text("plugin"),
      text("status",
           "`ready`, `unavailable` (the device says why), `not loaded` (its "
           "plugin was refused)"),
      text("reason", "empty if ready"),
      text("clock", "`wall` or `simulated`").or_null(),
      count("memory_bytes", "0 if unknown").or_null(),
      text("certificate",
           "`uncertified`, or what `tessera conform` proved here: `level 2 of "
           "2026-11-21, 3 known failures`; of a certificate that came with the "
           "plugin also `signed by NAME`"),
      text("description").or_absent(),
      text("driver").or_absent(),
      count("kernels", "rows of the plugin's table").or_absent(),
      list_of("skipped_kernels", "rows that use a later ABI: `name: value`",
              text(""))
          .or_absent(),
      text("plugin_version").or_absent(),
      text("plugin_path"),
      flag("isolated", "its plugin runs in a child process").or_absent(),
      text("quarantine",
           "why it does so though nobody asked for it; null: no such reason")
          .or_null()
          .or_absent()};
}

Field environment_field() {
  return object("environment", "",
                {text("os"), text("kernel"), text("cpu"), count("cores"),
                 list_of("isa", "vector extensions", text("")),
                 count("memory_bytes"), text("compiler"), text("build_type"),
                 text("tessera_version"), text("commit"), text("abi_version"),
                 map_of("libraries", "versions by name", text("")),
                 list_of("plugin_folders", "searched in this order", text("")),
                 text("cache_folder")});
}

// The certificates that came with a plugin.
Field shipped_certificates() {
  return list(
      "certificates", "that came with the plugin",
      {text("file"),
       flag("counts", "a listed key signed it for this library and kit"),
       text("reason", "why it does not count; empty if it does"),
       text("signature", "as above"),
       text("device", "empty, as what follows, if it does not count"),
       text("hardware"), text("driver"), count("level")});
}

// What enable, disable, sign, certify, verify and make-key did.
std::vector<OutputShape> plugin_acts() {
  const Field plugin = text("plugin", "as it was named");
  const std::vector<Field> switched = {
      plugin, text("status", "`enabled` or `disabled`"),
      flag("changed", "false if it was so already")};
  return {{"plugin enable", OutputForm::kObject, "", switched},
          {"plugin disable", OutputForm::kObject, "", switched},
          {"plugin sign",
           OutputForm::kObject,
           "",
           {plugin, text("signature", "the file that was written"),
            text("key", "public, in hex")}},
          {"plugin verify",
           OutputForm::kObject,
           "Printed where the hash fits, signed or not.",
           {plugin, text("library", "path"),
            text("signature",
                 "`not signed`, `signed by NAME`, `signed by unknown key "
                 "HEX`"),
            flag("trusted", "a listed key signed it"), shipped_certificates()}},
          {"plugin certify",
           OutputForm::kObject,
           "",
           {plugin, list_of("certificates",
                            "the files that were written; "
                            "their signatures lie beside them",
                            text(""))}},
          {"plugin make-key",
           OutputForm::kObject,
           "",
           {text("file", "the private key"), text("key", "public, in hex")}}};
}

}  // namespace

std::vector<OutputShape> device_shapes() {
  std::vector<OutputShape> shapes = {
      {"devices", OutputForm::kList, "", device_fields()},
      {"devices --env",
       OutputForm::kObject,
       "",
       {environment_field(),
        list("devices", "as `devices` prints them", device_fields())}},
      {"devices --reset",
       OutputForm::kObject,
       "",
       {text("plugin", "no longer quarantined")}},
      {"plugin list",
       OutputForm::kList,
       "",
       {text("name"),
        text("status", "`enabled`, `quarantined`, `disabled`, `refused`"),
        text("reason"),
        text("signature",
             "`not signed`, `signed by NAME`, `signed by unknown key HEX`"),
        text("path", "of its library; of a refused one, of its manifest")}}};
  for (OutputShape& shape : plugin_acts()) shapes.push_back(std::move(shape));
  return shapes;
}

}  // namespace tessera::cli
