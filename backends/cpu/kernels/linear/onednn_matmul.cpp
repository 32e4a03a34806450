// SPDX-License-Identifier: Apache-2.0
//
// oneDNN's matmul primitives, which differ between 2.x and 3.x only in how
// they are described.
//
// Threads are the host's, so oneDNN must start none: its OpenMP team is limited
// to one thread around every call, and set back afterwards.  The limit belongs
// to the calling thread.

#include "backends/cpu/kernels/linear/onednn_matmul.hpp"

#include <cstddef>
#include <dnnl.hpp>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "tessera/types.h"

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
// From the OpenMP library that oneDNN itself uses; <omp.h> is the compiler's.
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int num_threads);
#endif

namespace tessera::cpu {
namespace {

constexpr size_t kMaxCached = 64;

class OneThread {
 public:
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
  OneThread() : num_threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(num_threads_); }
#else
  OneThread() = default;
#endif
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
  int num_threads_;
#endif
};

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::data_type data_type(uint32_t dtype) {
  if (dtype == TSR_BF16) return dnnl::memory::data_type::bf16;
  if (dtype == TSR_F16) return dnnl::memory::data_type::f16;
  return dnnl::memory::data_type::f32;
}

struct Descs {
  using Type = dnnl::memory::data_type;

  explicit Descs(const DenseShape& s)
      : src({s.M, s.K}, s.dtype == TSR_I8 ? Type::u8 : data_type(s.dtype),
            {s.src_stride, 1}),
        weights(weights_desc(s)),
        dst({s.M, s.N}, s.dtype == TSR_I8 ? Type::s32 : Type::f32,
            {s.dst_stride, 1}) {}

  // Tiles are what oneDNN calls BA16a16b4a and BA16a16b2a, of K rows and N
  // columns.
  static dnnl::memory::desc weights_desc(const DenseShape& s) {
    using Tag = dnnl::memory::format_tag;
    if (s.dtype == TSR_I8) return {{s.K, s.N}, Type::s8, Tag::BA16a16b4a};
    if (s.dtype == TSR_BF16) return {{s.K, s.N}, Type::bf16, Tag::BA16a16b2a};
    return {{s.K, s.N}, data_type(s.dtype), {1, s.weights_stride}};
  }

  dnnl::memory::desc src;
  dnnl::memory::desc weights;
  dnnl::memory::desc dst;
};

// Empty if there is no implementation.
dnnl::matmul::primitive_desc describe(const Descs& descs) {
  dnnl::primitive_attr attr;
  // The library's own scratch memory belongs to the thread that creates.
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  constexpr bool kAllowEmpty = true;
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(cpu_engine(), descs.src, descs.weights,
                                      descs.dst, attr, kAllowEmpty);
#else
  const dnnl::matmul::desc desc(descs.src, descs.weights, descs.dst);
  return dnnl::matmul::primitive_desc(desc, attr, cpu_engine(), kAllowEmpty);
#endif
}

class OneDnnMatmul final : public DenseMatmul {
 public:
  OneDnnMatmul(const Descs& descs, const dnnl::matmul::primitive_desc& desc)
      : descs_(descs), scratch_(desc.scratchpad_desc()), primitive_(desc) {}

  bool run(const void* src, const void* weights, void* dst) const override {
    const OneThread one_thread;
    try {
      execute(src, weights, dst);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

 private:
  void execute(const void* src, const void* weights, void* dst) const {
    // oneDNN wants cache lines of scratch, and const data without const.
    thread_local std::vector<std::byte> scratch;
    if (scratch.size() < scratch_.get_size() + 64) {
      scratch.resize(scratch_.get_size() + 64);
    }
    const auto address = reinterpret_cast<uintptr_t>(scratch.data());
    std::byte* aligned = scratch.data() + (64 - address % 64) % 64;
    const auto memory = [](const dnnl::memory::desc& desc, const void* data) {
      return dnnl::memory(desc, cpu_engine(), const_cast<void*>(data));
    };
    dnnl::stream stream(cpu_engine());
    primitive_.execute(stream,
                       {{DNNL_ARG_SRC, memory(descs_.src, src)},
                        {DNNL_ARG_WEIGHTS, memory(descs_.weights, weights)},
                        {DNNL_ARG_DST, memory(descs_.dst, dst)},
                        {DNNL_ARG_SCRATCHPAD, memory(scratch_, aligned)}});
    stream.wait();
  }

  Descs descs_;
  dnnl::memory::desc scratch_;
  dnnl::matmul primitive_;
};

std::shared_ptr<const DenseMatmul> generate(const DenseShape& shape) {
  const OneThread one_thread;
  try {
    const Descs descs(shape);
    const dnnl::matmul::primitive_desc desc = describe(descs);
    if (!desc) return nullptr;
    const std::string name = desc.impl_info_str();
    if (name.find("ref") != std::string::npos) return nullptr;
    return std::make_shared<OneDnnMatmul>(descs, desc);
  } catch (const std::exception&) {
    return nullptr;
  }
}

struct ShapeHash {
  size_t operator()(const DenseShape& s) const {
    size_t hash = s.dtype;
    for (const int64_t size :
         {s.M, s.N, s.K, s.src_stride, s.weights_stride, s.dst_stride}) {
      hash = hash * 1000003 + static_cast<size_t>(size);
    }
    return hash;
  }
};

// Products by shape, the one used last in front.  What oneDNN cannot do is
// kept too, as null.
class Cache {
 public:
  std::shared_ptr<const DenseMatmul> find(const DenseShape& shape) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(shape);
    if (found != places_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().matmul;
    }
    entries_.push_front({shape, generate(shape)});
    places_[shape] = entries_.begin();
    if (entries_.size() > kMaxCached) {
      places_.erase(entries_.back().shape);
      entries_.pop_back();
    }
    return entries_.front().matmul;
  }

 private:
  struct Entry {
    DenseShape shape;
    std::shared_ptr<const DenseMatmul> matmul;
  };

  std::mutex mutex_;
  std::list<Entry> entries_;
  std::unordered_map<DenseShape, std::list<Entry>::iterator, ShapeHash> places_;
};

}  // namespace

std::shared_ptr<const DenseMatmul> find_dense_matmul(const DenseShape& shape) {
  static Cache cache;
  return cache.find(shape);
}

bool has_dense_matmul(uint32_t dtype) {
  const auto probe = [](uint32_t type) {
    return find_dense_matmul({type, 16, 16, 64, 64, 64, 16}) != nullptr;
  };
  static const bool has_f32 = probe(TSR_F32);
  static const bool has_bf16 = probe(TSR_BF16);
  static const bool has_f16 = probe(TSR_F16);
  static const bool has_i8 = probe(TSR_I8);
  return (dtype == TSR_F32 && has_f32) || (dtype == TSR_BF16 && has_bf16) ||
         (dtype == TSR_F16 && has_f16) || (dtype == TSR_I8 && has_i8);
}

}  // namespace tessera::cpu
