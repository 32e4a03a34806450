// SPDX-License-Identifier: Apache-2.0
//
// Hostile manifests of plugins, and certificates.

#include <algorithm>

#include "framework/host/loading/manifest.hpp"
#include "framework/host/trust/certificate.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::promise;

constexpr const char* kHash =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

void check(const tessera::Manifest& manifest) {
  promise(!manifest.name.empty(), "plugins have a name");
  promise(manifest.library.find('/') == std::string::npos,
          "libraries stay in their folder");
  promise(manifest.abi_min <= manifest.abi_max, "ABI ranges are not empty");
  promise(manifest.sha256.size() == 64 &&
              manifest.sha256.find_first_not_of("0123456789abcdef") ==
                  std::string::npos,
          "hashes are hashes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = tessera::parse_manifest(text);
  if (manifest.ok()) {
    check(*manifest);
  } else {
    promise(!manifest.status().message().empty(), "errors explain");
  }
  const auto certificate = tessera::parse_certificate(text);
  if (certificate.ok()) {
    const auto again =
        tessera::parse_certificate(tessera::certificate_json(*certificate));
    promise(again.ok(), "certificates can be written again");
  }
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  Certificate certificate;
  certificate.subject.sha256 = kHash;
  certificate.subject.device = "cpu:0";
  certificate.level = 2;
  certificate.levels = {{0, 36, 1, 37}};
  certificate.known_failures = {{"L1/a", "b"}};
  certificate.figures = {{"c", 0.5}};
  return {
      std::string(
          R"({"format":1,"name":"cpu","library":"tsr_plugin_cpu.so",)") +
          R"("abi_min":"1.0","abi_max":"1.1","sha256":")" + kHash + "\"}",
      certificate_json(certificate),
  };
}
