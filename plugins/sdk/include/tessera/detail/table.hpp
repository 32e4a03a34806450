// SPDX-License-Identifier: Apache-2.0
//
// tessera/detail/table.hpp - fills tsr_plugin_header and tsr_api from the
// classes of tessera/plugin.hpp.  Include that instead.

#pragma once

#include <type_traits>

#include "tessera/plugin.hpp"

namespace tessera::sdk::detail {

inline Device& device_of(tsr_device* device) {
  return *reinterpret_cast<Device*>(device);
}
// What a tsr_queue points at.
struct QueueHandle {
  Device& device;
  std::unique_ptr<Queue> queue;
};
inline QueueHandle& queue_of(tsr_queue* queue) {
  return *reinterpret_cast<QueueHandle*>(queue);
}
inline Packing& packing_of(tsr_packing* packing) {
  return *reinterpret_cast<Packing*>(packing);
}

template <typename Struct>
std::vector<Struct> read_array(const tsr_array* array) {
  if (array == nullptr) return {};
  return Elements<Struct>(*array).all();
}

// The head of a struct the host passed in, whatever its age.
template <typename Struct>
Struct read_argument(const Struct* argument) {
  return read_struct<Struct>(argument, argument->struct_size);
}

// The name of an extension that must be understood and is not; empty if there
// is none.
inline std::string unknown_extension(const Device& device,
                                     const Extensions& extensions) {
  std::string unknown;
  extensions.each([&](const tsr_record_ext& ext, const char*, uint32_t) {
    const bool must = (ext.flags & TSR_MUST_UNDERSTAND) != 0;
    if (must && unknown.empty() && !device.understands(ext.name)) {
      unknown = ext.name;
    }
  });
  return unknown;
}

inline void require_understood(const Device& device,
                               const Extensions& extensions) {
  const std::string unknown = unknown_extension(device, extensions);
  if (unknown.empty()) return;
  throw Error(TSR_UNIMPLEMENTED, "extension " + unknown + " is unknown");
}

inline void require_understood(const Device& device, const tsr_ext* chain) {
  for (const tsr_ext* ext = chain; ext != nullptr; ext = ext->next) {
    const bool must = (ext->flags & TSR_MUST_UNDERSTAND) != 0;
    if (must && !device.understands(ext->name)) {
      throw Error(TSR_UNIMPLEMENTED,
                  std::string("extension ") + ext->name + " is unknown");
    }
  }
}

// A descriptor the host passed in, its extensions understood.
template <typename Struct>
Struct read_described(const Device& device, const Struct* desc) {
  const Struct value = read_argument(desc);
  require_understood(device, value.next);
  return value;
}

// What the device says of a program, and of the program's own extensions.
inline std::vector<tsr_refusal> check_program(Device& device,
                                              const ProgramQuestion& question) {
  std::vector<tsr_refusal> refusals = device.check(question);
  const std::string unknown =
      unknown_extension(device, question.program.extensions());
  if (unknown.empty()) return refusals;
  tsr_refusal refusal{};
  refusal.struct_size = sizeof(refusal);
  refusal.op = TSR_NONE;
  refusal.reason = TSR_REFUSED_EXTENSION;
  std::snprintf(refusal.field, sizeof(refusal.field), "extension");
  std::snprintf(refusal.message, sizeof(refusal.message),
                "program: extension %s is unknown", unknown.c_str());
  refusals.push_back(refusal);
  return refusals;
}

// Copies `values` to caller-owned elements `stride` bytes apart.
template <typename Struct>
void copy_array(const std::vector<Struct>& values, Struct* out,
                uint32_t capacity, uint32_t stride) {
  for (size_t i = 0; i < values.size() && i < capacity; ++i) {
    Struct value = values[i];
    value.struct_size =
        stride < sizeof(value) ? stride : static_cast<uint32_t>(sizeof(value));
    std::memcpy(reinterpret_cast<char*>(out) + i * stride, &value,
                value.struct_size);
  }
}

inline Options read_options(const tsr_array* array) {
  Options options;
  for (const tsr_option_value& option : read_array<tsr_option_value>(array)) {
    if (option.key == nullptr || option.value == nullptr) {
      throw Error(TSR_INVALID_ARGUMENT, "an option lacks its key or value");
    }
    options.emplace_back(option.key, option.value);
  }
  return options;
}

template <typename Body>
auto with_question(const tsr_program_desc* program, const tsr_array* weights,
                   const tsr_array* kv_pools, Body&& body) {
  const ProgramView view(program);
  return body(ProgramQuestion{view, read_array<tsr_weight_desc>(weights),
                              read_array<tsr_kv_desc>(kv_pools)});
}

// What a host keeps for the whole plugin.
template <typename Backend>
const tsr_host_services*& services() {
  static const tsr_host_services* instance = nullptr;
  return instance;
}

template <typename Backend>
void require_index(uint32_t index) {
  const uint32_t count = Backend::device_count();
  if (index >= count) {
    throw Error(TSR_INVALID_ARGUMENT, std::string(Backend::name()) +
                                          ": device " + std::to_string(index) +
                                          " of " + std::to_string(count));
  }
}

template <typename Backend>
void fill_discovery(tsr_api& api) {
  api.device_count = [](tsr_error* err, uint32_t* out_count) {
    return guard(err, [&] { *out_count = Backend::device_count(); });
  };
  api.device_info = [](uint32_t index, tsr_error* err,
                       tsr_device_info* out_info) {
    return guard(err, [&] {
      require_index<Backend>(index);
      copy_out(Backend::device_info(index), out_info);
    });
  };
  api.device_kernels = [](uint32_t index, tsr_error* err,
                          tsr_array* out_kernels) {
    return guard(err, [&] {
      require_index<Backend>(index);
      *out_kernels = Backend::device_kernels(index);
    });
  };
  api.device_open = [](uint32_t index, const tsr_array* options, tsr_error* err,
                       tsr_device** out_device) {
    return guard(err, [&] {
      require_index<Backend>(index);
      *out_device = reinterpret_cast<tsr_device*>(
          Backend::open(index, read_options(options), *services<Backend>())
              .release());
    });
  };
  api.device_close = [](tsr_device* device) {
    delete reinterpret_cast<Device*>(device);
  };
}

inline void fill_questions(tsr_api& api) {
  api.check = [](tsr_device* device, const tsr_program_desc* program,
                 const tsr_array* weights, const tsr_array* kv_pools,
                 tsr_error* err, tsr_refusal* out_refusals, uint32_t capacity,
                 uint32_t stride, uint32_t* out_count) {
    return guard(err, [&] {
      const auto refusals = with_question(
          program, weights, kv_pools, [&](const ProgramQuestion& q) {
            return check_program(device_of(device), q);
          });
      copy_array(refusals, out_refusals, capacity, stride);
      *out_count = static_cast<uint32_t>(refusals.size());
      if (!refusals.empty()) {
        const tsr_refusal& first = refusals.front();
        const std::string place =
            first.op == TSR_NONE ? "" : "op " + std::to_string(first.op) + ": ";
        throw Error(TSR_UNIMPLEMENTED, place + first.message);
      }
    });
  };
  api.estimate = [](tsr_device* device, const tsr_program_desc* program,
                    const tsr_array* weights, const tsr_array* kv_pools,
                    const tsr_step_shape* step, tsr_error* err,
                    tsr_estimate* out_estimate) {
    return guard(err, [&] {
      const tsr_estimate estimate = with_question(
          program, weights, kv_pools, [&](const ProgramQuestion& q) {
            return device_of(device).estimate(q, read_argument(step));
          });
      copy_out(estimate, out_estimate);
    });
  };
}

inline void fill_buffers(tsr_api& api) {
  api.buffer_create = [](tsr_device* device, const tsr_buffer_desc* desc,
                         tsr_error* err) {
    return guard(err, [&] {
      Device& self = device_of(device);
      self.buffer_create(read_described(self, desc));
    });
  };
  api.buffer_import = [](tsr_device* device, const tsr_buffer_desc* desc,
                         uint32_t type, uint64_t handle, tsr_error* err) {
    return guard(err, [&] {
      Device& self = device_of(device);
      self.buffer_import(read_described(self, desc), type, handle);
    });
  };
  api.buffer_export = [](tsr_device* device, uint64_t buffer, uint32_t type,
                         tsr_error* err, uint64_t* out_handle) {
    return guard(err, [&] {
      *out_handle = device_of(device).buffer_export(buffer, type);
    });
  };
  api.buffer_map = [](tsr_device* device, uint64_t buffer, tsr_error* err,
                      void** out_memory) {
    return guard(err,
                 [&] { *out_memory = device_of(device).buffer_map(buffer); });
  };
  api.buffer_flush = [](tsr_device* device, uint64_t buffer, uint64_t offset,
                        uint64_t bytes, tsr_error* err) {
    return guard(
        err, [&] { device_of(device).buffer_flush(buffer, offset, bytes); });
  };
  api.buffer_invalidate = [](tsr_device* device, uint64_t buffer,
                             uint64_t offset, uint64_t bytes, tsr_error* err) {
    return guard(err, [&] {
      device_of(device).buffer_invalidate(buffer, offset, bytes);
    });
  };
  api.buffer_destroy = [](tsr_device* device, uint64_t buffer) {
    guard(nullptr, [&] { device_of(device).buffer_destroy(buffer); });
  };
}

inline void fill_weights(tsr_api& api) {
  api.weight_query = [](tsr_device* device, const tsr_weight_desc* desc,
                        tsr_error* err, tsr_packed_info* out_info) {
    return guard(err, [&] {
      Device& self = device_of(device);
      copy_out(self.weight_query(read_described(self, desc)), out_info);
    });
  };
  api.packing_begin = [](tsr_device* device, uint64_t weight,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err,
                         tsr_packing** out_packing) {
    return guard(err, [&] {
      Device& self = device_of(device);
      *out_packing = reinterpret_cast<tsr_packing*>(
          self.packing_begin(weight, read_described(self, desc), buffer, offset)
              .release());
    });
  };
  api.packing_slice = [](tsr_packing* packing, uint32_t n_begin, uint32_t n_end,
                         const tsr_weight_desc* slice, tsr_error* err) {
    return guard(err, [&] {
      packing_of(packing).slice(n_begin, n_end, read_argument(slice));
    });
  };
  api.packing_end = [](tsr_packing* packing, uint32_t commit, tsr_error* err) {
    const std::unique_ptr<Packing> owned(reinterpret_cast<Packing*>(packing));
    return guard(err, [&] {
      if (commit != 0) owned->commit();
    });
  };
  api.weight_create = [](tsr_device* device, uint64_t weight,
                         const tsr_weight_desc* desc, uint64_t buffer,
                         uint64_t offset, tsr_error* err) {
    return guard(err, [&] {
      Device& self = device_of(device);
      self.weight_create(weight, read_described(self, desc), buffer, offset);
    });
  };
  api.weight_destroy = [](tsr_device* device, uint64_t weight) {
    guard(nullptr, [&] { device_of(device).weight_destroy(weight); });
  };
}

inline void fill_kv(tsr_api& api) {
  api.kv_query = [](tsr_device* device, const tsr_kv_desc* desc, tsr_error* err,
                    tsr_kv_info* out_info) {
    return guard(err, [&] {
      Device& self = device_of(device);
      copy_out(self.kv_query(read_described(self, desc)), out_info);
    });
  };
  api.kv_create = [](tsr_device* device, uint64_t pool, const tsr_kv_desc* desc,
                     uint64_t buffer, uint64_t offset, tsr_error* err) {
    return guard(err, [&] {
      Device& self = device_of(device);
      self.kv_create(pool, read_described(self, desc), buffer, offset);
    });
  };
  api.kv_destroy = [](tsr_device* device, uint64_t pool) {
    guard(nullptr, [&] { device_of(device).kv_destroy(pool); });
  };
}

inline void fill_programs(tsr_api& api) {
  api.program_create = [](tsr_device* device, const tsr_program_desc* program,
                          tsr_error* err, tsr_program_info* out_info) {
    return guard(err, [&] {
      Device& self = device_of(device);
      const ProgramView view(program);
      require_understood(self, view.extensions());
      copy_out(self.program_create(view), out_info);
    });
  };
  api.program_segment = [](tsr_device* device, uint64_t program, uint32_t index,
                           tsr_error* err, tsr_segment* out_segment) {
    return guard(err, [&] {
      copy_out(device_of(device).program_segment(program, index), out_segment);
    });
  };
  api.program_destroy = [](tsr_device* device, uint64_t program) {
    guard(nullptr, [&] { device_of(device).program_destroy(program); });
  };
}

inline void fill_queues(tsr_api& api) {
  api.timeline_import = [](tsr_device* device, uint64_t id,
                           tsr_timeline* timeline, tsr_error* err) {
    return guard(err, [&] { device_of(device).timeline_import(id, timeline); });
  };
  api.timeline_forget = [](tsr_device* device, uint64_t id) {
    guard(nullptr, [&] { device_of(device).timeline_forget(id); });
  };
  api.queue_create = [](tsr_device* device, tsr_error* err,
                        tsr_queue** out_queue) {
    return guard(err, [&] {
      Device& self = device_of(device);
      *out_queue = reinterpret_cast<tsr_queue*>(
          new QueueHandle{self, self.queue_create()});
    });
  };
  api.queue_submit = [](tsr_queue* queue, const tsr_submission* submission,
                        tsr_error* err) {
    return guard(err, [&] {
      const QueueHandle& handle = queue_of(queue);
      const SubmissionView view(submission);
      require_understood(handle.device, view.extensions());
      handle.queue->submit(view);
    });
  };
  api.queue_destroy = [](tsr_queue* queue) {
    delete reinterpret_cast<QueueHandle*>(queue);
  };
  api.profile_read = [](tsr_device* device, tsr_error* err,
                        tsr_kernel_record* out_records, uint32_t capacity,
                        uint32_t stride, uint32_t* out_count) {
    return guard(err, [&] {
      const auto records = device_of(device).profile_read(capacity);
      copy_array(records, out_records, capacity, stride);
      *out_count = static_cast<uint32_t>(records.size());
    });
  };
  api.device_last_error = [](tsr_device* device, tsr_error* out_error) {
    guard(out_error, [&] { device_of(device).rethrow_last_failure(); });
    return tsr_status{TSR_OK};
  };
}

inline void fill_extensions(tsr_api& api) {
  api.device_ask = [](tsr_device* device, tsr_ask* ask, tsr_error* err) {
    return guard(err, [&] {
      const std::string request(static_cast<const char*>(ask->request),
                                static_cast<size_t>(ask->request_bytes));
      const std::string reply = device_of(device).ask(ask->extension, request);
      ask->reply_bytes = reply.size();
      const uint64_t fits =
          reply.size() < ask->capacity ? reply.size() : ask->capacity;
      if (fits != 0) std::memcpy(ask->reply, reply.data(), fits);
    });
  };
}

template <typename Backend>
const tsr_api* plugin_api() {
  static const tsr_api table = [] {
    tsr_api api{};
    api.struct_size = sizeof(api);
    fill_discovery<Backend>(api);
    fill_questions(api);
    fill_buffers(api);
    fill_weights(api);
    fill_kv(api);
    fill_programs(api);
    fill_queues(api);
    fill_extensions(api);
    return api;
  }();
  return &table;
}

constexpr uint32_t sanitizer_kind() {
#if defined(__SANITIZE_ADDRESS__)
  return TSR_SANITIZER_ADDRESS;
#elif defined(__SANITIZE_THREAD__)
  return TSR_SANITIZER_THREAD;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return TSR_SANITIZER_ADDRESS;
#elif __has_feature(thread_sanitizer)
  return TSR_SANITIZER_THREAD;
#elif __has_feature(memory_sanitizer)
  return TSR_SANITIZER_MEMORY;
#else
  return TSR_SANITIZER_NONE;
#endif
#else
  return TSR_SANITIZER_NONE;
#endif
}

// Backend::kFlags and Backend::connect, where they exist.
template <typename Backend, typename = void>
struct FlagsOf {
  static constexpr uint32_t kValue = 0;
};
template <typename Backend>
struct FlagsOf<Backend, std::void_t<decltype(Backend::kFlags)>> {
  static constexpr uint32_t kValue = Backend::kFlags;
};

template <typename Backend>
auto connect(const tsr_host_services& host, int)
    -> decltype(Backend::connect(host)) {
  Backend::connect(host);
}
template <typename Backend>
void connect(const tsr_host_services&, long) {}

template <typename Backend>
const tsr_plugin_header* plugin_header() {
  static const tsr_plugin_header header = [] {
    tsr_plugin_header h{};
    h.struct_size = sizeof(h);
    h.abi_min = TSR_ABI_MAJOR << 16;
    h.abi_max = (TSR_ABI_MAJOR << 16) | TSR_ABI_MINOR;
    h.sanitizer = sanitizer_kind();
    h.flags = FlagsOf<Backend>::kValue;
    h.name = Backend::name();
    h.version = Backend::version();
#if defined(TSR_PLUGIN_BUILD_ID)
    h.build_id = TSR_PLUGIN_BUILD_ID;
#else
    h.build_id = Backend::version();
#endif
    h.get_api = [](uint32_t abi_version, const tsr_host_services* host,
                   tsr_error* err, const tsr_api** out_api) {
      return guard(err, [&] {
        if (abi_version >> 16 != TSR_ABI_MAJOR) {
          throw Error(TSR_FAILED_PRECONDITION,
                      "no table for ABI " + std::to_string(abi_version >> 16));
        }
        for (const tsr_ext* e = host->next; e != nullptr; e = e->next) {
          if ((e->flags & TSR_MUST_UNDERSTAND) == 0) continue;
          throw Error(TSR_UNIMPLEMENTED,
                      std::string("extension ") + e->name + " is unknown");
        }
        services<Backend>() = host;
        connect<Backend>(*host, 0);
        *out_api = plugin_api<Backend>();
      });
    };
    return h;
  }();
  return &header;
}

}  // namespace tessera::sdk::detail
