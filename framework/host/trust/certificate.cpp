// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/certificate.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "framework/host/trust/state_file.hpp"

namespace tessera {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 2;
constexpr const char* kWhat = "certificate";

Status bad(const std::string& message) {
  return {TSR_INVALID_ARGUMENT, std::string(kWhat) + ": " + message};
}

Result<std::vector<CertifiedLevel>> read_levels(const Json& list) {
  std::vector<CertifiedLevel> levels;
  for (const Json& one : list) {
    StateReader reader(one, kWhat);
    CertifiedLevel level;
    level.level = static_cast<uint32_t>(reader.number("level"));
    level.passed = reader.number("passed");
    level.unsupported = reader.number("unsupported");
    level.total = reader.number("total");
    TSR_RETURN_IF_ERROR(reader.status());
    levels.push_back(level);
  }
  return levels;
}

Result<std::vector<KnownFailure>> read_failures(const Json& list) {
  std::vector<KnownFailure> failures;
  for (const Json& one : list) {
    StateReader reader(one, kWhat);
    KnownFailure failure{reader.text("case"), reader.text("reason")};
    TSR_RETURN_IF_ERROR(reader.status());
    failures.push_back(std::move(failure));
  }
  return failures;
}

// "vulkan" of "vulkan:1", "npu_sim:910b" of itself.
std::string without_index(const std::string& device) {
  const size_t colon = device.find(':');
  if (colon == std::string::npos || colon + 1 == device.size() ||
      device.find_first_not_of("0123456789", colon + 1) != std::string::npos) {
    return device;
  }
  return device.substr(0, colon);
}

}  // namespace

std::string certificate_json(const Certificate& certificate) {
  Json json;
  json["format"] = kFormat;
  json["sha256"] = certificate.subject.sha256;
  json["plugin"] = certificate.plugin;
  json["version"] = certificate.version;
  json["device"] = certificate.subject.device;
  json["hardware"] = certificate.subject.hardware;
  json["driver"] = certificate.subject.driver;
  json["kit_version"] = certificate.kit_version;
  json["issued"] = certificate.issued;
  json["level"] = certificate.level;
  json["levels"] = Json::array();
  for (const CertifiedLevel& level : certificate.levels) {
    json["levels"].push_back({{"level", level.level},
                              {"passed", level.passed},
                              {"unsupported", level.unsupported},
                              {"total", level.total}});
  }
  json["known_failures"] = Json::array();
  for (const KnownFailure& failure : certificate.known_failures) {
    json["known_failures"].push_back(
        {{"case", failure.id}, {"reason", failure.reason}});
  }
  json["figures"] = certificate.figures;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Certificate> parse_certificate(std::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr,
                                /*allow_exceptions=*/false);
  if (json.is_discarded()) return bad("not JSON");
  StateReader reader(json, kWhat);
  Certificate certificate;
  if (reader.number("format") != kFormat) return bad("another format");
  certificate.subject.sha256 = reader.text("sha256");
  certificate.plugin = reader.text("plugin");
  certificate.version = reader.text("version");
  certificate.subject.device = reader.text("device");
  certificate.subject.hardware = reader.text("hardware");
  certificate.subject.driver = reader.text("driver");
  certificate.kit_version = static_cast<uint32_t>(reader.number("kit_version"));
  certificate.issued = reader.text("issued");
  certificate.level = static_cast<uint32_t>(reader.number("level"));
  const Json& levels = reader.list("levels");
  const Json& failures = reader.list("known_failures");
  TSR_RETURN_IF_ERROR(reader.status());
  TSR_ASSIGN_OR_RETURN(certificate.levels, read_levels(levels));
  TSR_ASSIGN_OR_RETURN(certificate.known_failures, read_failures(failures));
  const Json* figures = reader.find("figures");
  if (figures == nullptr || !figures->is_object()) return certificate;
  for (const auto& [name, value] : figures->items()) {
    if (value.is_number()) certificate.figures[name] = value.get<double>();
  }
  return certificate;
}

Status check_holds(const Certificate& certificate,
                   const CertifiedDevice& subject) {
  const auto differ = [](const char* what, const std::string& it,
                         const std::string& wanted) {
    return Status(TSR_FAILED_PRECONDITION,
                  fmt::format("{}: of {} {}, not {}", kWhat, what, it, wanted));
  };
  const CertifiedDevice& own = certificate.subject;
  if (certificate.kit_version != kKitVersion) {
    return differ("kit", std::to_string(certificate.kit_version),
                  std::to_string(kKitVersion));
  }
  if (own.sha256 != subject.sha256) {
    return differ("library", own.sha256, subject.sha256);
  }
  if (without_index(own.device) != without_index(subject.device)) {
    return differ("device", own.device, subject.device);
  }
  if (own.hardware != subject.hardware) {
    return differ("hardware", own.hardware, subject.hardware);
  }
  if (own.driver != subject.driver) {
    return differ("driver", own.driver, subject.driver);
  }
  return {};
}

std::string certificate_file_name(const CertifiedDevice& subject) {
  std::string name = subject.sha256 + "-" + without_index(subject.device) +
                     "-" + subject.driver;
  for (char& c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0 && c != '-') c = '_';
  }
  return name + ".json";
}

std::string CertificateStore::path_of(const CertifiedDevice& subject) const {
  return folder_ + "/" + certificate_file_name(subject);
}

std::string CertificateStore::revoked_path(
    const CertifiedDevice& subject) const {
  return path_of(subject) + ".revoked";
}

Status CertificateStore::save(const Certificate& certificate) const {
  TSR_RETURN_IF_ERROR(write_state_file(folder_, path_of(certificate.subject),
                                       certificate_json(certificate),
                                       "certificates"));
  unlink(revoked_path(certificate.subject).c_str());
  return {};
}

Status CertificateStore::revoke(const CertifiedDevice& subject) const {
  TSR_RETURN_IF_ERROR(
      write_state_file(folder_, revoked_path(subject), "", "certificates"));
  unlink(path_of(subject).c_str());
  return {};
}

bool CertificateStore::is_revoked(const CertifiedDevice& subject) const {
  struct stat info {};
  return !folder_.empty() && lstat(revoked_path(subject).c_str(), &info) == 0;
}

std::optional<Certificate> CertificateStore::find(
    const CertifiedDevice& subject) const {
  if (folder_.empty() || subject.sha256.empty()) return std::nullopt;
  const Result<std::string> text = read_state_file(path_of(subject));
  if (!text.ok()) return std::nullopt;
  Result<Certificate> certificate = parse_certificate(*text);
  if (!certificate.ok() || !check_holds(*certificate, subject).ok()) {
    return std::nullopt;
  }
  return std::move(*certificate);
}

std::vector<Certificate> CertificateStore::of_library(
    const std::string& sha256) const {
  namespace fs = std::filesystem;
  std::vector<Certificate> found;
  std::error_code code;
  for (fs::directory_iterator entry(folder_, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().filename().string().rfind(sha256, 0) != 0) continue;
    const Result<std::string> text = read_state_file(entry->path().string());
    if (!text.ok()) continue;
    Result<Certificate> certificate = parse_certificate(*text);
    if (!certificate.ok()) continue;
    CertifiedDevice subject = certificate->subject;
    subject.sha256 = sha256;
    if (!check_holds(*certificate, subject).ok()) continue;
    found.push_back(std::move(*certificate));
  }
  std::sort(found.begin(), found.end(),
            [](const Certificate& a, const Certificate& b) {
              return certificate_file_name(a.subject) <
                     certificate_file_name(b.subject);
            });
  return found;
}

CertificateStore user_certificates() {
  const std::string folder = state_folder();
  return CertificateStore(folder.empty() ? "" : folder + "/certificates");
}

}  // namespace tessera
