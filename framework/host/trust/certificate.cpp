// SPDX-License-Identifier: Apache-2.0

#include "framework/host/trust/certificate.hpp"

#include <unistd.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "framework/host/trust/state_file.hpp"

namespace tessera {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;
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

}  // namespace

std::string certificate_json(const Certificate& certificate) {
  Json json;
  json["format"] = kFormat;
  json["sha256"] = certificate.sha256;
  json["plugin"] = certificate.plugin;
  json["version"] = certificate.version;
  json["device"] = certificate.device;
  json["driver"] = certificate.driver;
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
  certificate.sha256 = reader.text("sha256");
  certificate.plugin = reader.text("plugin");
  certificate.version = reader.text("version");
  certificate.device = reader.text("device");
  certificate.driver = reader.text("driver");
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

std::string CertificateStore::path_of(const std::string& sha256,
                                      const std::string& device) const {
  std::string name = sha256 + "-" + device;
  for (char& c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0 && c != '-') c = '_';
  }
  return folder_ + "/" + name + ".json";
}

Status CertificateStore::save(const Certificate& certificate) const {
  return write_state_file(folder_,
                          path_of(certificate.sha256, certificate.device),
                          certificate_json(certificate), "certificates");
}

void CertificateStore::revoke(const std::string& sha256,
                              const std::string& device) const {
  if (!folder_.empty()) unlink(path_of(sha256, device).c_str());
}

std::optional<Certificate> CertificateStore::find(
    const std::string& sha256, const std::string& device,
    const std::string& driver) const {
  if (folder_.empty() || sha256.empty()) return std::nullopt;
  const Result<std::string> text = read_state_file(path_of(sha256, device));
  if (!text.ok()) return std::nullopt;
  Result<Certificate> certificate = parse_certificate(*text);
  const bool holds = certificate.ok() && certificate->sha256 == sha256 &&
                     certificate->device == device &&
                     certificate->driver == driver &&
                     certificate->kit_version == kKitVersion;
  if (!holds) return std::nullopt;
  return std::move(*certificate);
}

CertificateStore user_certificates() {
  const std::string folder = state_folder();
  return CertificateStore(folder.empty() ? "" : folder + "/certificates");
}

}  // namespace tessera
