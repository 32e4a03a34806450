// SPDX-License-Identifier: Apache-2.0

#include "framework/host/remote/wire_structs.hpp"

#include <cstring>

#include "tessera/record.hpp"

namespace tessera {
namespace {

constexpr uint64_t kPlaneAlignment = 64;
// Larger counts are nonsense.
constexpr uint64_t kMaxElements = 65536;

uint64_t round_up(uint64_t bytes) {
  return (bytes + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

uint64_t data_bytes(const tsr_plane& plane) {
  return plane.data == nullptr ? 0 : plane.rows * plane.row_bytes;
}

std::vector<tsr_plane> planes_of(const tsr_weight_desc& desc) {
  return sdk::Elements<tsr_plane>(desc.planes).all();
}

template <typename Element>
void put_array(WireWriter& writer, const std::vector<Element>& elements) {
  writer.put_bytes(std::as_bytes(std::span(elements)));
}

template <typename Element>
std::vector<Element> get_array(WireReader& reader) {
  const std::span<const std::byte> bytes = reader.get_bytes();
  std::vector<Element> elements(bytes.size() / sizeof(Element));
  if (!elements.empty()) {
    std::memcpy(elements.data(), bytes.data(),
                elements.size() * sizeof(Element));
  }
  return elements;
}

void put_c_text(WireWriter& writer, const char* text) {
  writer.put_text(text == nullptr ? "" : text);
}

// A count of elements that follow.
uint64_t get_count(WireReader& reader) {
  const auto count = reader.get<uint64_t>();
  return count <= kMaxElements ? count : 0;
}

const char* get_c_text(WireReader& reader, WireFacts& facts) {
  return facts.texts.emplace_back(reader.get_text()).c_str();
}

template <typename Element>
tsr_array array_of(const std::vector<Element>& elements) {
  return {elements.data(), static_cast<uint32_t>(elements.size()),
          sizeof(Element)};
}

void put_kernel(WireWriter& writer, const tsr_kernel_desc& kernel) {
  writer.put(kernel);
  put_c_text(writer, kernel.name);
  put_array(writer, sdk::Elements<tsr_plane_rule>(kernel.planes).all());
  const auto extensions = sdk::Elements<const char*>(kernel.extensions).all();
  writer.put(uint64_t{extensions.size()});
  for (const char* name : extensions) put_c_text(writer, name);
  put_extensions(writer, kernel.next);
}

tsr_kernel_desc get_kernel(WireReader& reader, WireFacts& facts) {
  auto kernel = reader.get<tsr_kernel_desc>();
  kernel.struct_size = sizeof(kernel);
  kernel.name = get_c_text(reader, facts);
  kernel.planes =
      array_of(facts.rules.emplace_back(get_array<tsr_plane_rule>(reader)));
  std::vector<const char*>& names = facts.extensions.emplace_back();
  for (uint64_t i = get_count(reader); i > 0; --i) {
    names.push_back(get_c_text(reader, facts));
  }
  kernel.extensions = array_of(names);
  kernel.next = get_extensions(reader, facts.nodes);
  return kernel;
}

void put_option(WireWriter& writer, const tsr_option& option) {
  writer.put(uint64_t{option.type});
  put_c_text(writer, option.key);
  put_c_text(writer, option.default_value);
  put_c_text(writer, option.help);
}

tsr_option get_option(WireReader& reader, WireFacts& facts) {
  tsr_option option{};
  option.struct_size = sizeof(option);
  option.type = static_cast<uint32_t>(reader.get<uint64_t>());
  option.key = get_c_text(reader, facts);
  option.default_value = get_c_text(reader, facts);
  option.help = get_c_text(reader, facts);
  return option;
}

}  // namespace

void put_extensions(WireWriter& writer, const tsr_ext* next) {
  uint64_t count = 0;
  for (const tsr_ext* node = next; node != nullptr; node = node->next) ++count;
  writer.put(count);
  for (const tsr_ext* node = next; node != nullptr; node = node->next) {
    put_c_text(writer, node->name);
    writer.put_bytes(
        {reinterpret_cast<const std::byte*>(node), node->struct_size});
  }
}

void put_options(WireWriter& writer, const tsr_array* options) {
  const auto values = options == nullptr
                          ? std::vector<tsr_option_value>()
                          : sdk::Elements<tsr_option_value>(*options).all();
  writer.put(uint64_t{values.size()});
  for (const tsr_option_value& value : values) {
    writer.put_text(value.key);
    writer.put_text(value.value);
  }
}

void get_options(WireReader& reader, WireOptions& out_options) {
  for (uint64_t i = get_count(reader); i > 0 && reader.ok(); --i) {
    const std::string& key = out_options.texts.emplace_back(reader.get_text());
    const std::string& value =
        out_options.texts.emplace_back(reader.get_text());
    out_options.values.push_back(
        {sizeof(tsr_option_value), 0, key.c_str(), value.c_str()});
  }
}

const tsr_ext* get_extensions(WireReader& reader, WireExtensions& storage) {
  const tsr_ext* first = nullptr;
  const tsr_ext** link = &first;
  for (uint64_t i = get_count(reader); i > 0; --i) {
    const std::string& name = storage.names.emplace_back(reader.get_text());
    const std::span<const std::byte> bytes = reader.get_bytes();
    if (bytes.size() < sizeof(tsr_ext)) break;
    auto& words = storage.nodes.emplace_back((bytes.size() + 7) / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    auto* node = reinterpret_cast<tsr_ext*>(words.data());
    node->struct_size = static_cast<uint32_t>(bytes.size());
    node->name = name.c_str();
    node->next = nullptr;
    *link = node;
    link = &node->next;
  }
  return first;
}

void put_kv_desc(WireWriter& writer, const tsr_kv_desc& desc) {
  const auto value = sdk::read_struct<tsr_kv_desc>(&desc, desc.struct_size);
  writer.put(value);
  put_extensions(writer, value.next);
}

tsr_kv_desc get_kv_desc(WireReader& reader, WireExtensions& storage) {
  auto desc = reader.get<tsr_kv_desc>();
  desc.struct_size = sizeof(desc);
  desc.next = get_extensions(reader, storage);
  return desc;
}

void put_weight_desc(WireWriter& writer, const tsr_weight_desc& desc) {
  writer.put(uint64_t{desc.format});
  writer.put(uint64_t{desc.N});
  writer.put(uint64_t{desc.K});
  const std::vector<tsr_plane> planes = planes_of(desc);
  writer.put(uint64_t{planes.size()});
  uint64_t offset = 0;
  for (const tsr_plane& plane : planes) {
    tsr_plane shape = plane;
    // Only whether there is some: an address means nothing elsewhere.
    if (shape.data != nullptr) shape.data = reinterpret_cast<const void*>(1);
    writer.put(shape);
    writer.put(offset);
    offset += round_up(data_bytes(plane));
  }
  put_extensions(writer, desc.next);
}

uint64_t shared_plane_bytes(const tsr_weight_desc& desc) {
  uint64_t bytes = 0;
  for (const tsr_plane& plane : planes_of(desc)) {
    bytes += round_up(data_bytes(plane));
  }
  return bytes;
}

void copy_planes(const tsr_weight_desc& desc, std::byte* shared) {
  for (const tsr_plane& plane : planes_of(desc)) {
    if (data_bytes(plane) == 0) continue;
    std::memcpy(shared, plane.data, data_bytes(plane));
    shared += round_up(data_bytes(plane));
  }
}

bool get_weight_desc(WireReader& reader, const std::byte* shared,
                     uint64_t shared_bytes, WireWeight* out_weight) {
  tsr_weight_desc& desc = out_weight->desc;
  desc.struct_size = sizeof(desc);
  desc.format = static_cast<uint32_t>(reader.get<uint64_t>());
  desc.N = static_cast<uint32_t>(reader.get<uint64_t>());
  desc.K = static_cast<uint32_t>(reader.get<uint64_t>());
  for (uint64_t i = get_count(reader); i > 0; --i) {
    auto plane = reader.get<tsr_plane>();
    const auto offset = reader.get<uint64_t>();
    plane.struct_size = sizeof(plane);
    const bool overflows =
        plane.rows != 0 && plane.row_bytes > UINT64_MAX / plane.rows;
    const uint64_t bytes = data_bytes(plane);
    if (overflows || offset > shared_bytes || bytes > shared_bytes - offset) {
      return false;
    }
    if (plane.data != nullptr) plane.data = shared + offset;
    out_weight->planes.push_back(plane);
  }
  desc.planes = array_of(out_weight->planes);
  desc.next = get_extensions(reader, out_weight->nodes);
  return reader.ok();
}

void put_device_facts(WireWriter& writer, const DeviceFacts& facts) {
  writer.put(facts.info);
  put_array(writer, facts.memory_kinds);
  writer.put(uint64_t{facts.options.size()});
  for (const tsr_option& option : facts.options) put_option(writer, option);
  writer.put(uint64_t{facts.kernels.size() + facts.skipped_kernels.size()});
  for (const auto* rows : {&facts.kernels, &facts.skipped_kernels}) {
    for (const tsr_kernel_desc& kernel : *rows) put_kernel(writer, kernel);
  }
  put_extensions(writer, facts.info.next);
}

bool get_device_facts(WireReader& reader, WireFacts* out_facts) {
  WireFacts& facts = *out_facts;
  facts.info = reader.get<tsr_device_info>();
  facts.memory_kinds = get_array<tsr_memory_kind>(reader);
  for (tsr_memory_kind& kind : facts.memory_kinds) {
    kind.struct_size = sizeof(kind);
  }
  for (uint64_t i = get_count(reader); i > 0; --i) {
    facts.options.push_back(get_option(reader, facts));
  }
  for (uint64_t i = get_count(reader); i > 0; --i) {
    facts.kernels.push_back(get_kernel(reader, facts));
  }
  facts.info.struct_size = sizeof(facts.info);
  facts.info.memory_kinds = array_of(facts.memory_kinds);
  facts.info.options = array_of(facts.options);
  facts.info.next = get_extensions(reader, facts.nodes);
  return reader.ok();
}

}  // namespace tessera
