// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/listing.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "framework/conformance/kit/running/child.hpp"
#include "framework/conformance/kit/running/session.hpp"

namespace tessera::conformance {
namespace {

// For all that a device says: a count, then as many bytes.
constexpr uint64_t kMostBytes = uint64_t{64} << 20;

// What put_facts wrote; null if it is cut.
std::unique_ptr<WireFacts> get_facts(const SharedMemory& memory) {
  uint64_t bytes = 0;
  std::memcpy(&bytes, memory.data(), sizeof(bytes));
  if (bytes > memory.bytes() - sizeof(bytes)) return nullptr;
  WireReader reader;
  std::memcpy(reader.reset(bytes), memory.data() + sizeof(bytes), bytes);
  auto facts = std::make_unique<WireFacts>();
  return get_device_facts(reader, facts.get()) ? std::move(facts) : nullptr;
}

Status put_facts(DeviceFacts facts, const SharedMemory& memory) {
  facts.skipped_kernels.clear();
  WireWriter writer;
  put_device_facts(writer, facts);
  const uint64_t bytes = writer.bytes().size();
  if (bytes > memory.bytes() - sizeof(bytes)) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("says {} bytes of its device", bytes)};
  }
  std::memcpy(memory.data(), &bytes, sizeof(bytes));
  std::memcpy(memory.data() + sizeof(bytes), writer.bytes().data(), bytes);
  return {};
}

// In the child.  The parent will make cases from the same bytes: if that does
// not end well, it must not happen there.
Status describe(const KitOptions& options, const SharedMemory& memory,
                const LineWriter& write) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<KitSession> session,
                       KitSession::open(options));
  TSR_ASSIGN_OR_RETURN(const DeviceFacts facts, session->read_facts());
  KitOptions same = options;
  TSR_ASSIGN_OR_RETURN(same.cases.has_fixed_pipe, session->has_fixed_pipe());
  write("plugin " + session->plugin().name());
  write("version " + session->plugin().version());
  write("build_id " + session->plugin().build_id());
  write("sha256 " + session->plugin().sha256());
  write("device " + facts.name);
  write("hardware " + std::string(facts.info.name));
  write("driver " + std::string(facts.info.driver));
  if (same.cases.has_fixed_pipe) write("fixed_pipe");
  TSR_RETURN_IF_ERROR(put_facts(facts, memory));
  const std::unique_ptr<WireFacts> copy = get_facts(memory);
  if (copy == nullptr) return {TSR_INTERNAL, "its facts do not come across"};
  generate_cases(Claim(copy->kernels), same.max_level, same.cases);
  return {};
}

void read_line(const std::string& line, Listing& listing) {
  for (const auto& [key, field] :
       {std::pair<const char*, std::string*>{"plugin", &listing.plugin},
        {"version", &listing.version},
        {"build_id", &listing.build_id},
        {"sha256", &listing.subject.sha256},
        {"device", &listing.subject.device},
        {"hardware", &listing.subject.hardware},
        {"driver", &listing.subject.driver}}) {
    const std::string value = value_of(line, key);
    if (!value.empty()) *field = value;
  }
  if (line == "fixed_pipe") listing.has_fixed_pipe = true;
}

}  // namespace

Result<Listing> list_library(const KitOptions& options) {
  TSR_ASSIGN_OR_RETURN(const SharedMemory memory,
                       SharedMemory::create("tsr_kit_facts", kMostBytes));
  TSR_ASSIGN_OR_RETURN(KitChild child,
                       KitChild::start([&](const LineWriter& write) {
                         const Status status = describe(options, memory, write);
                         if (!status.ok()) write("refused " + status.message());
                       }));
  Listing listing;
  listing.load.id = "L0/load";
  bool complete = false;
  std::string fault;
  while (const auto line = child.read_line(kLoadSeconds)) {
    if (*line == "end") complete = true;
    if (const std::string text = value_of(*line, "refused"); !text.empty()) {
      listing.load.verdict = Verdict::kFail;
      listing.load.reason = text;
    }
    if (line->rfind("fault", 0) == 0) fault = value_of(*line, "fault");
    read_line(*line, listing);
  }
  const std::string end = child.finish();
  if (child.is_late()) {
    listing.load.verdict = Verdict::kHang;
    listing.load.reason = "loading, or reading what it claims, does not end";
  } else if (!complete || !end.empty()) {
    listing.load.verdict = Verdict::kCrash;
    listing.load.reason = end + (fault.empty() ? "" : ": " + fault);
  }
  if (listing.load.verdict != Verdict::kPass) return listing;
  listing.facts = get_facts(memory);
  if (listing.facts != nullptr) return listing;
  listing.load.verdict = Verdict::kFail;
  listing.load.reason = "writes where the host keeps its facts";
  return listing;
}

}  // namespace tessera::conformance
