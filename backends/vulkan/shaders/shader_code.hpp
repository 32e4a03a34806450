// SPDX-License-Identifier: Apache-2.0
//
// The shaders as SPIR-V, compiled when Tessera is built.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tessera::vulkan {

struct ShaderCode {
  const char* name;
  const uint32_t* words;
  size_t bytes;
};

std::span<const ShaderCode> all_shaders();

bool has_shader(const std::string& name);
// Throws sdk::Error INTERNAL if there is no shader of that name.
ShaderCode find_shader(const std::string& name);

}  // namespace tessera::vulkan
