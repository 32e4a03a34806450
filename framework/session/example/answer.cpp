// SPDX-License-Identifier: Apache-2.0
//
// Usage: answer PROMPT [MODEL [PLAN]]
// Continues a prompt on the cpu, or as a plan of `tessera plan` says, and
// prints the text as it comes.

#include <iostream>
#include <string>

#include "tessera/session.hpp"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: answer PROMPT [MODEL [PLAN]]\n";
    return 2;
  }
  tessera::SessionOptions options;
  if (argc > 2) options.model = argv[2];
  if (argc > 3) options.plan = argv[3];

  std::string error;
  const auto session = tessera::Session::open(options, &error);
  if (session == nullptr) {
    std::cerr << "answer: " << error << "\n";
    return 1;
  }

  tessera::Prompt prompt;
  prompt.text = argv[1];
  prompt.max_tokens = 32;
  const auto print = [](std::string_view piece) {
    std::cout << piece << std::flush;
    return true;
  };
  const auto completion = session->complete(prompt, print, &error);
  if (!completion) {
    std::cerr << "answer: " << error << "\n";
    return 1;
  }
  std::cout << "\n";
  std::cerr << session->model_name() << ": " << completion->prompt_tokens
            << " prompt tokens, " << completion->new_tokens << " new\n";
  return 0;
}
