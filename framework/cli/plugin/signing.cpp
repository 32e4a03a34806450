// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plugin/signing.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/plugin/find_library.hpp"
#include "framework/host/loading/verified_library.hpp"
#include "framework/host/signing/key_list.hpp"
#include "framework/host/signing/shipped_certificate.hpp"
#include "framework/host/signing/signature.hpp"
#include "framework/host/signing/signed_file.hpp"
#include "framework/host/trust/sha256.hpp"

namespace tessera::cli {
namespace {

Result<std::string> read_text(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return std::string(reinterpret_cast<const char*>(file.bytes().data()),
                     file.bytes().size());
}

// Nobody signs for a library that is not the manifest's.
Status check_library(const std::string& manifest_path,
                     const Manifest& manifest) {
  const std::string library =
      std::filesystem::path(manifest_path).parent_path() / manifest.library;
  const FileDescriptor fd(open(library.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) {
    return {TSR_NOT_FOUND, library + ": " + std::strerror(errno)};
  }
  TSR_ASSIGN_OR_RETURN(const std::string sha256, sha256_of_file(fd.get()));
  if (sha256 == manifest.sha256) return {};
  return {TSR_DATA_LOSS, library + ": sha256 is " + sha256 +
                             ", the manifest says " + manifest.sha256};
}

Status run_sign(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::string path, find_manifest(options.plugin));
  TSR_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  TSR_ASSIGN_OR_RETURN(const Manifest manifest,
                       parse_manifest(text).annotate(path));
  TSR_RETURN_IF_ERROR(check_library(path, manifest));
  TSR_ASSIGN_OR_RETURN(const std::string key,
                       read_text(options.key).annotate("--key"));
  TSR_ASSIGN_OR_RETURN(const Signature signature,
                       sign_text(text, key).annotate(options.key));
  TSR_RETURN_IF_ERROR(
      write_file_atomically(signature_path(path), signature_text(signature)));
  if (options.json) {
    return print_json("plugin sign", {{"plugin", options.plugin},
                                      {"signature", signature_path(path)},
                                      {"key", signature.public_key}});
  }
  write_out(
      fmt::format("{}\nkey {}\n", signature_path(path), signature.public_key));
  return {};
}

Json shipped_json(const std::vector<ShippedCertificate>& list) {
  Json json = Json::array();
  for (const ShippedCertificate& shipped : list) {
    const Certificate& certificate = shipped.certificate;
    json.push_back({{"file", shipped.path},
                    {"counts", shipped.status.ok()},
                    {"reason", shipped.status.message()},
                    {"signature", signer_text(shipped.signer)},
                    {"device", certificate.subject.device},
                    {"hardware", certificate.subject.hardware},
                    {"driver", certificate.subject.driver},
                    {"level", certificate.level}});
  }
  return json;
}

std::string shipped_text(const std::vector<ShippedCertificate>& list) {
  std::string text;
  for (const ShippedCertificate& shipped : list) {
    const Certificate& certificate = shipped.certificate;
    text += shipped.path + ": ";
    text += shipped.status.ok()
                ? fmt::format(
                      "level {} on {} ({}, {}), {}\n", certificate.level,
                      certificate.subject.device, certificate.subject.hardware,
                      certificate.subject.driver, signer_text(shipped.signer))
                : "does not count: " + shipped.status.message() + "\n";
  }
  return text;
}

// As loading would check it, with the key lists of this machine or another.
Status run_verify(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::string path, find_manifest(options.plugin));
  KeyList keys;
  if (options.keys.empty()) {
    TSR_ASSIGN_OR_RETURN(keys, trusted_keys());
  } else {
    TSR_ASSIGN_OR_RETURN(keys, read_key_list(options.keys).annotate("--keys"));
  }
  TSR_ASSIGN_OR_RETURN(const VerifiedLibrary library,
                       verify_library(path, keys));
  const std::vector<ShippedCertificate> shipped = list_shipped_certificates(
      library.file.path, library.manifest.sha256, keys);
  const bool is_trusted = library.signer.is_trusted();
  if (options.json) {
    TSR_RETURN_IF_ERROR(
        print_json("plugin verify", {{"plugin", options.plugin},
                                     {"library", library.file.path},
                                     {"signature", signer_text(library.signer)},
                                     {"trusted", is_trusted},
                                     {"certificates", shipped_json(shipped)}}));
  } else {
    write_out(fmt::format("{}: {}\n{}", library.file.path,
                          signer_text(library.signer), shipped_text(shipped)));
  }
  if (is_trusted) return {};
  return {TSR_FAILED_PRECONDITION,
          path + ": no signature of a listed key; the hash fits"};
}

// What the kit proved of this library here, for those who have the vendor's
// key.
Status run_certify(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::string path, find_manifest(options.plugin));
  TSR_ASSIGN_OR_RETURN(const VerifiedLibrary library,
                       verify_library(path, KeyList{}));
  TSR_ASSIGN_OR_RETURN(const std::string key,
                       read_text(options.key).annotate("--key"));
  const std::vector<Certificate> certificates =
      user_certificates().of_library(library.manifest.sha256);
  if (certificates.empty()) {
    return {TSR_FAILED_PRECONDITION,
            fmt::format("{0}: uncertified here; tessera conform {0} certifies "
                        "what passes",
                        library.file.path)};
  }
  Json files = Json::array();
  for (const Certificate& certificate : certificates) {
    TSR_ASSIGN_OR_RETURN(const std::string file,
                         ship_certificate(certificate, library.file.path, key)
                             .annotate(options.key));
    files.push_back(file);
  }
  if (options.json) {
    return print_json("plugin certify",
                      {{"plugin", options.plugin}, {"certificates", files}});
  }
  for (const Json& file : files) write_out(file.get<std::string>() + "\n");
  return {};
}

// Readable by this user alone, and never over another key.
Status run_make_key(const PluginOptions& options) {
  TSR_ASSIGN_OR_RETURN(const KeyPair pair, make_key_pair());
  const FileDescriptor fd(
      open(options.key.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.is_open()) {
    return {TSR_FAILED_PRECONDITION, options.key + ": " + std::strerror(errno)};
  }
  const ssize_t written =
      write(fd.get(), pair.private_key.data(), pair.private_key.size());
  if (written != static_cast<ssize_t>(pair.private_key.size())) {
    return {TSR_FAILED_PRECONDITION, options.key + ": cannot be written"};
  }
  if (options.json) {
    return print_json("plugin make-key",
                      {{"file", options.key}, {"key", pair.public_key}});
  }
  write_out(fmt::format("key {} NAME\n", pair.public_key));
  return {};
}

void add_key(CLI::App& app, PluginOptions& options) {
  app.add_option("--key", options.key, "Private key in PEM")
      ->required()
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
}

}  // namespace

void add_plugin(CLI::App& app, PluginOptions& options) {
  app.add_option("PLUGIN", options.plugin,
                 "Name of a plugin, or path of its manifest")
      ->required();
}

void add_signing_commands(CLI::App& plugin, PluginOptions& options) {
  CLI::App* sign = plugin.add_subcommand(
      "sign", "Write an Ed25519 signature beside a plugin's manifest");
  add_plugin(*sign, options);
  add_key(*sign, options);
  CLI::App* certify = plugin.add_subcommand(
      "certify",
      "Put what conform proved here beside the library, signed, to be shipped");
  add_plugin(*certify, options);
  add_key(*certify, options);
  CLI::App* verify = plugin.add_subcommand(
      "verify",
      "Check hash, signature and certificates of a plugin as loading does");
  add_plugin(*verify, options);
  verify
      ->add_option("--keys", options.keys,
                   "Key list in place of this machine's; docs/isolation.md "
                   "has its lines")
      ->type_name("FILE");
  CLI::App* make_key = plugin.add_subcommand(
      "make-key", "Make a private key, and print its line for key lists");
  make_key
      ->add_option("FILE", options.key, "Where the key goes; must not exist")
      ->required();
}

Status run_signing(const CLI::App& plugin, const PluginOptions& options) {
  if (plugin.got_subcommand("sign")) return run_sign(options);
  if (plugin.got_subcommand("certify")) return run_certify(options);
  if (plugin.got_subcommand("verify")) return run_verify(options);
  return run_make_key(options);
}

}  // namespace tessera::cli
