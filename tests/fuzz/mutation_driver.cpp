// SPDX-License-Identifier: Apache-2.0
//
// Runs a fuzz target on seeds and on thousands of mutations of them: the same
// ones in every run and with every compiler.
//
// Usage: fuzz_x [mutations [seed]]   or fuzz_x FILE: that input alone
//
// Seeds are those of the target and the files of corpus/x.  An input that
// crashes or takes over ten seconds is written to x.crash in the current
// folder.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/fuzz_target.hpp"

namespace {

constexpr long kMutations = 10'000;

// What trips readers of JSON and of sizes.
constexpr std::string_view kWords[] = {
    "-1",   "0",       "1e999",    "1e-9", "18446744073709551615",
    "null", "true",    "[]",       "{}",   "[[[[[[[[[[[[[[[[",
    "\"\"", "\"",      ",",        ":",    "4294967296",
    "\xff", "\\u0000", "{\"a\":",  "]",    "9223372036854775807",
    "2.5",  "}",       "\xe2\x96", "\n",   "\"type\":\"Sequence\"",
};

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, uint32_t seed)
      : seeds_(std::move(seeds)), rng_(seed) {}

  std::string next() {
    std::string input = seeds_[below(seeds_.size())];
    for (size_t i = 1 + below(4); i > 0; --i) mutate(input);
    return input;
  }

 private:
  // A number below `bound`; the same on every standard library.
  size_t below(size_t bound) { return bound == 0 ? 0 : rng_() % bound; }

  void mutate(std::string& input) {
    const size_t at = below(input.size() + 1);
    const size_t length = below(std::min<size_t>(input.size() - at, 24) + 1);
    const std::string_view word = kWords[below(std::size(kWords))];
    switch (below(8)) {
      case 0:
        input.resize(at);
        break;
      case 1:
        input.erase(at, length);
        break;
      case 2:
        input.insert(at, input.substr(at, length));
        break;
      case 3:
        input.insert(at, word);
        break;
      case 4:
        input.replace(at, length, word);
        break;
      case 5:
        replace_number(input, at, word);
        break;
      case 6: {
        const std::string& other = seeds_[below(seeds_.size())];
        input.insert(at, other.substr(below(other.size()), length));
        break;
      }
      default:
        if (at < input.size()) input[at] = static_cast<char>(below(256));
    }
  }

  // The first number after `at` becomes `word`.
  static void replace_number(std::string& input, size_t at,
                             std::string_view word) {
    constexpr std::string_view kDigits = "0123456789";
    const size_t begin = input.find_first_of(kDigits, at);
    if (begin == input.npos) return;
    const size_t end = input.find_first_not_of(kDigits, begin);
    input.replace(begin, (end == input.npos ? input.size() : end) - begin,
                  word);
  }

  std::vector<std::string> seeds_;
  std::mt19937 rng_;
};

constexpr const char* kCrashFile = FUZZ_NAME ".crash";
constexpr unsigned kLimitSeconds = 10;
const std::string* g_input = nullptr;

// Saves the input that was being read.
void save_input(int signal) {
  const int file = open(kCrashFile, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (g_input != nullptr && file >= 0) {
    if (write(file, g_input->data(), g_input->size()) < 0) _exit(3);
  }
  _exit(128 + signal);
}

void run(const std::string& input) {
  g_input = &input;
  alarm(kLimitSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> all_seeds() {
  std::vector<std::string> seeds = tessera::fuzz_seeds();
  std::vector<std::filesystem::path> paths;
  std::error_code code;
  for (const auto& entry :
       std::filesystem::directory_iterator(FUZZ_CORPUS, code)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) seeds.push_back(read_file(path));
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) {
    std::signal(signal, save_input);
  }
  if (argc == 2 && std::filesystem::is_regular_file(argv[1])) {
    run(read_file(argv[1]));
    return 0;
  }
  const long mutations = argc > 1 ? std::atol(argv[1]) : kMutations;
  const uint32_t seed =
      argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 42;
  const std::vector<std::string> seeds = all_seeds();
  for (const std::string& input : seeds) run(input);
  Mutator mutator(seeds, seed);
  for (long i = 0; i < mutations; ++i) run(mutator.next());
  std::printf("%ld executions with seed %u, %zu inputs in the corpus\n",
              mutations + static_cast<long>(seeds.size()), seed, seeds.size());
  return 0;
}
