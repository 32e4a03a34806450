// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/history/run_record.hpp"

#include <fmt/format.h>

#include <array>
#include <random>

namespace tessera::bench {
namespace {

struct Place {
  const char* metric;
  const char* object;  // null: the row itself
  const char* key;
};

constexpr std::array<Place, 3> kPlaces = {{{"op", nullptr, "samples_ns"},
                                           {"prefill", "samples", "prefill_ns"},
                                           {"decode", "samples", "decode_ns"}}};

// False if it is no list of numbers.
bool read_numbers(const Json& list, std::vector<double>& numbers) {
  if (!list.is_array()) return false;
  for (const Json& number : list) {
    if (!number.is_number()) return false;
    numbers.push_back(number.get<double>());
  }
  return true;
}

}  // namespace

std::string make_uuid() {
  std::random_device random;
  std::string text;
  for (int word = 0; word < 4; ++word) {
    text += fmt::format("{:08x}", static_cast<uint32_t>(random()));
  }
  return text;
}

std::vector<Samples> samples_of(const Json& row) {
  std::vector<Samples> all;
  if (!row.is_object()) return all;
  for (const Place& place : kPlaces) {
    const Json* object = &row;
    if (place.object != nullptr) {
      const auto found = row.find(place.object);
      if (found == row.end() || !found->is_object()) continue;
      object = &*found;
    }
    const auto found = object->find(place.key);
    std::vector<double> numbers;
    if (found != object->end() && read_numbers(*found, numbers)) {
      all.emplace_back(place.metric, std::move(numbers));
    }
  }
  return all;
}

std::vector<Samples> take_samples(Json& row) {
  std::vector<Samples> all = samples_of(row);
  if (!row.is_object()) return all;
  row.erase("samples_ns");
  row.erase("samples");
  return all;
}

void put_samples(const std::vector<Samples>& samples, Json& row) {
  for (const Place& place : kPlaces) {
    for (const auto& [metric, numbers] : samples) {
      if (metric != place.metric) continue;
      Json& object = place.object == nullptr ? row : row[place.object];
      object[place.key] = numbers;
    }
  }
}

std::string case_name(const Json& row) {
  for (const char* key : {"case", "command"}) {
    const auto found = row.find(key);
    if (found != row.end() && found->is_string()) {
      return found->get<std::string>();
    }
  }
  return {};
}

}  // namespace tessera::bench
