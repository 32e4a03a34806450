// SPDX-License-Identifier: Apache-2.0
//
// Times oneDNN's matmul with weights in the layout that it likes best: f32,
// bf16, and codes of s8 by s8 with raw sums.

#include <dnnl.hpp>
#include <memory>
#include <optional>

#include "framework/bench/peers/programs/peer_program.hpp"

namespace tessera::bench {
namespace {

using dnnl::matmul;
using dnnl::memory;

struct Types {
  memory::data_type operand;
  memory::data_type sum;
  double weight_bytes;
  double tolerance;
  const char* what;
};

std::optional<Types> types_of(const std::string& scheme) {
  using Type = memory::data_type;
  if (scheme == "f32") return Types{Type::f32, Type::f32, 4, 1e-5, "f32"};
  if (scheme == "bf16") return Types{Type::bf16, Type::f32, 2, 1e-5, "bf16"};
  if (scheme == "w8a8" || scheme == "w8a8_dynamic") {
    return Types{Type::s8, Type::s32, 1, 0.0, "s8s8 codes, raw sums"};
  }
  return std::nullopt;
}

matmul::primitive_desc describe(const memory::desc& x, const memory::desc& w,
                                const memory::desc& y,
                                const dnnl::engine& engine) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, x, w, y};
#else
  return {matmul::desc(x, w, y), engine};
#endif
}

class Product {
 public:
  Product(PeerLinear linear, const Types& types)
      : linear_(std::move(linear)),
        types_(types),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_) {
    using Tag = memory::format_tag;
    const memory::dims x_dims = {linear_.M, linear_.K};
    const memory::dims w_dims = {linear_.K, linear_.N};
    const memory::dims y_dims = {linear_.M, linear_.N};
    const auto about = describe({x_dims, types.operand, Tag::ab},
                                {w_dims, types.operand, Tag::any},
                                {y_dims, types.sum, Tag::ab}, engine_);
    matmul_ = matmul(about);
    x_ = to_device(x_dims, Tag::ab, about.src_desc(), linear_.x);
    for (int64_t i = 0; i < linear_.copies; ++i) {
      weights_.push_back(
          to_device(w_dims, Tag::ba, about.weights_desc(), linear_.w));
    }
    y_ = memory(about.dst_desc(), engine_);
  }

  void run(int64_t turn) {
    matmul_.execute(stream_,
                    {{DNNL_ARG_SRC, x_},
                     {DNNL_ARG_WEIGHTS,
                      weights_[static_cast<size_t>(turn % linear_.copies)]},
                     {DNNL_ARG_DST, y_}});
    stream_.wait();
  }

  bool is_right() {
    std::vector<float> y(static_cast<size_t>(linear_.M * linear_.N));
    memory floats({{linear_.M, linear_.N},
                   memory::data_type::f32,
                   memory::format_tag::ab},
                  engine_, y.data());
    dnnl::reorder(y_, floats).execute(stream_, y_, floats);
    stream_.wait();
    return bench::is_right(linear_, y.data(), types_.tolerance);
  }

 private:
  memory to_device(const memory::dims& dims, memory::format_tag tag,
                   const memory::desc& desc, std::vector<float>& values) {
    memory floats({dims, memory::data_type::f32, tag}, engine_, values.data());
    memory packed(desc, engine_);
    dnnl::reorder(floats, packed).execute(stream_, floats, packed);
    stream_.wait();
    return packed;
  }

  PeerLinear linear_;
  Types types_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  matmul matmul_;
  memory x_;
  std::vector<memory> weights_;
  memory y_;
};

PeerCase make(const nlohmann::json& request) {
  const std::string scheme = request.at("scheme");
  const auto types = types_of(scheme);
  if (!types) return refused("no " + scheme + " product");
  try {
    auto product = std::make_shared<Product>(
        read_linear(request, types->weight_bytes), *types);
    product->run(0);
    if (!product->is_right()) return refused("its result is wrong");
    return {types->what, "", [product](int64_t turn) { product->run(turn); }};
  } catch (const dnnl::error& error) {
    return refused(error.what());
  }
}

}  // namespace
}  // namespace tessera::bench

int main() {
  const dnnl_version_t& version = *dnnl_version();
  return tessera::bench::serve("oneDNN " + std::to_string(version.major) + "." +
                                   std::to_string(version.minor) + "." +
                                   std::to_string(version.patch),
                               tessera::bench::make);
}
