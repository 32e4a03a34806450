// SPDX-License-Identifier: Apache-2.0
//
// Kernels that use built-ins which the devices here may lack still compile, by
// a compiler that knows them all.

#include <gtest/gtest.h>
#include <stdio.h>

#include <fstream>
#include <string>
#include <vector>

#include "backends/opencl/kernels/kernel_sources.hpp"

namespace tessera::opencl {
namespace {

constexpr const char* kGpu = "-cl-std=CL3.0 -target spir64-unknown-unknown";

// What clang prints about a program of those files.
std::string compile(const std::vector<std::string>& files,
                    const std::string& constants,
                    const std::string& target = kGpu) {
  const std::string path =
      testing::TempDir() + "/native_" + files.back() + ".cl";
  {
    std::ofstream text(path);
    text << kernel_source("base") << kernel_source("args");
    for (const std::string& file : files) text << kernel_source(file);
  }
  const std::string command =
      TSR_CLANG " -x cl " + target +
      " -fsyntax-only"
      " -Xclang -finclude-default-header -Xclang -cl-ext=+cl_khr_fp16,"
      "+cl_khr_subgroups,+__opencl_c_subgroups,+cl_khr_integer_dot_product,"
      "+__opencl_c_integer_dot_product_input_4x8bit_packed"
      " -DCODE_ZERO=0 -DSCALE_BITS=16 -DHAS_ZERO=0 -DHAS_MIN=0 " +
      constants + " " + path + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    text += static_cast<char>(c);
  }
  const int status = pclose(pipe);
  return status == 0 ? "" : text + command;
}

TEST(OpenClNativeKernels, CompileWithEveryBuiltIn) {
  if (std::string(TSR_CLANG).find("NOTFOUND") != std::string::npos) {
    GTEST_SKIP() << "no clang to compile them";
  }
  if (!compile({"linear", "linear_tile"}, "-DCODE=0 -DINTEGER=0 -DGROUPED=0")
           .empty()) {
    GTEST_SKIP() << "this clang does not compile OpenCL C 3.0";
  }
  const std::string native = "-DHALF=2 -DDOT=2 -DSUBGROUPS=2 ";
  for (const std::vector<std::string>& files :
       {std::vector<std::string>{"linear", "linear_tile"},
        {"linear", "linear_panel", "linear_block"}}) {
    EXPECT_EQ(compile(files, native + "-DCODE=3 -DINTEGER=1 -DGROUPED=0"), "");
    EXPECT_EQ(compile(files, native + "-DCODE=4 -DINTEGER=1 -DGROUPED=1"), "");
    EXPECT_EQ(compile(files, "-DHALF=2 -DCODE=1 -DINTEGER=0 -DGROUPED=0"), "");
  }
  EXPECT_EQ(compile({"group", "rows_tile"}, native), "");
  for (const char* input : {"-DX_DTYPE=2 -DACT_QUANT=1 -DHAS_PERMUTATION=1 "
                            "-DHAS_MULTIPLIER=1",
                            "-DX_DTYPE=1 -DACT_QUANT=7 -DHAS_PERMUTATION=0 "
                            "-DHAS_MULTIPLIER=0"}) {
    EXPECT_EQ(
        compile({"group", "activation", "activation_tile"}, native + input),
        "");
  }
  EXPECT_EQ(
      compile({"group", "rotate", "rotate_tile"}, native + "-DHEAD_DIM=80"),
      "");
  const std::string sizes = native + "-DHEAD_DIM=80 -DHEADS=3 -DTOKENS=2 ";
  EXPECT_EQ(compile({"group", "attention", "attention_group", "attention_tile"},
                    sizes + "-DKV_FORMAT=4"),
            "");
}

// CPUs whose instructions differ, and one that has none.
TEST(OpenClNativeKernels, CompileForEveryCpu) {
  if (std::string(TSR_CLANG).find("NOTFOUND") != std::string::npos) {
    GTEST_SKIP() << "no clang to compile them";
  }
  const std::string x86 = "-cl-std=CL1.2 -target x86_64-linux-gnu -march=";
  const std::vector<std::string> input = {"activation", "activation_block"};
  const std::vector<std::string> linear = {"linear", "linear_panel",
                                           "linear_block"};
  if (!compile(input,
               "-DX_DTYPE=1 -DACT_QUANT=0 -DHAS_PERMUTATION=0 "
               "-DHAS_MULTIPLIER=0",
               x86 + "x86-64")
           .empty()) {
    GTEST_SKIP() << "this clang does not compile OpenCL C for x86";
  }
  for (const char* cpu : {"skylake-avx512", "haswell", "x86-64"}) {
    for (const char* pairs : {"0", "1", "2"}) {
      const std::string constants = std::string("-DPAIRS=") + pairs;
      EXPECT_EQ(compile(linear, constants + " -DCODE=3 -DINTEGER=1 -DGROUPED=0",
                        x86 + cpu),
                "");
      EXPECT_EQ(compile(linear, constants + " -DCODE=4 -DINTEGER=1 -DGROUPED=1",
                        x86 + cpu),
                "");
      EXPECT_EQ(compile(input,
                        constants + " -DX_DTYPE=1 -DACT_QUANT=1 "
                                    "-DHAS_PERMUTATION=0 -DHAS_MULTIPLIER=0",
                        x86 + cpu),
                "");
    }
  }
}

}  // namespace
}  // namespace tessera::opencl
