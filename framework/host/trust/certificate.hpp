// SPDX-License-Identifier: Apache-2.0
//
// What the conformance kit found of a plugin on this machine.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// Grows with the kit's cases: an older certificate counts no more.
inline constexpr uint32_t kKitVersion = 4;

struct CertifiedLevel {
  uint32_t level = 0;
  uint64_t passed = 0;
  uint64_t unsupported = 0;
  uint64_t total = 0;
};

// A case that the plugin's vendor declared to fail, and that does.
struct KnownFailure {
  std::string id;
  std::string reason;
};

// What the kit was run on.
struct CertifiedDevice {
  std::string sha256;    // of the library
  std::string device;    // as the registry names it: "vulkan:0"
  std::string hardware;  // as tsr_device_info names it
  std::string driver;

  bool operator==(const CertifiedDevice&) const = default;
};

// Holds for exactly this library, device, hardware, driver and kit.  Which of
// several equal cards it was does not matter: "vulkan:0" stands for "vulkan:1".
struct Certificate {
  CertifiedDevice subject;
  std::string plugin;
  std::string version;
  uint32_t kit_version = kKitVersion;
  std::string issued;  // "2026-11-21"
  uint32_t level = 0;  // all levels up to it passed
  std::vector<CertifiedLevel> levels;
  std::vector<KnownFailure> known_failures;
  std::map<std::string, double> figures;  // of level 3, such as "estimate_rank"
};

std::string certificate_json(const Certificate& certificate);
// Errors: INVALID_ARGUMENT, saying what is wrong.
Result<Certificate> parse_certificate(std::string_view text);

// OK if `certificate` is of this kit and speaks of `subject`.
// Errors: FAILED_PRECONDITION, saying what it is of instead.
Status check_holds(const Certificate& certificate,
                   const CertifiedDevice& subject);

// The name of its file, in any folder: "0123...-opencl_0-PoCL_3_1.json".
std::string certificate_file_name(const CertifiedDevice& subject);

// Certificates of this user in one folder.
class CertificateStore {
 public:
  // `folder` is state_folder() + "/certificates" as a rule; it need not exist.
  explicit CertificateStore(std::string folder) : folder_(std::move(folder)) {}

  // Replaces what there was; what was revoked is certified again.
  // Errors: FAILED_PRECONDITION if the folder or the file cannot be written.
  Status save(const Certificate& certificate) const;
  // Removes it, and remembers that the kit failed here.
  // Errors: those of save().
  Status revoke(const CertifiedDevice& subject) const;
  bool is_revoked(const CertifiedDevice& subject) const;
  // None if there is no such, it is another kit's, or its file is not to be
  // trusted.
  std::optional<Certificate> find(const CertifiedDevice& subject) const;
  // All that hold for a library.
  std::vector<Certificate> of_library(const std::string& sha256) const;

 private:
  std::string path_of(const CertifiedDevice& subject) const;
  std::string revoked_path(const CertifiedDevice& subject) const;

  std::string folder_;
};

// Where the host remembers things about this machine: XDG_STATE_HOME/tessera or
// ~/.local/state/tessera; "" if the environment names none, or may not be
// trusted.
std::string state_folder();

// The store in state_folder(); finds and saves nothing if there is none.
CertificateStore user_certificates();

}  // namespace tessera
