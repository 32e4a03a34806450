// SPDX-License-Identifier: Apache-2.0

#include "framework/report/page.hpp"

#include <string_view>
#include <utility>

namespace tessera::report {

// Generated from the files in page/, and from the plotting library.
extern const unsigned char page_html[];
extern const size_t page_html_bytes;
extern const unsigned char page_css[];
extern const size_t page_css_bytes;
extern const unsigned char page_js[];
extern const size_t page_js_bytes;
extern const unsigned char chart_js[];
extern const size_t chart_js_bytes;

namespace {

using Json = nlohmann::ordered_json;

std::string_view text_of(const unsigned char* data, size_t bytes) {
  return {reinterpret_cast<const char*>(data), bytes};
}

// "<" only stands in strings of JSON, where an escape means the same.
std::string data_text(std::span<const Document> documents) {
  Json list = Json::array();
  for (const Document& document : documents) {
    list.push_back({{"name", document.name},
                    {"kind", document.kind},
                    {"json", document.json}});
  }
  const std::string text =
      Json({{"documents", std::move(list)}})
          .dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char byte : text) {
    if (byte == '<') {
      safe += "\\u003c";
    } else {
      safe += byte;
    }
  }
  return safe;
}

}  // namespace

bool has_plots() { return chart_js_bytes > 0; }

std::string make_page(std::span<const Document> documents) {
  const std::string data = data_text(documents);
  const std::pair<std::string_view, std::string_view> parts[] = {
      {"@@STYLE@@", text_of(page_css, page_css_bytes)},
      {"@@DATA@@", data},
      {"@@LIBRARY@@", text_of(chart_js, chart_js_bytes)},
      {"@@SCRIPT@@", text_of(page_js, page_js_bytes)}};
  std::string_view rest = text_of(page_html, page_html_bytes);
  std::string page;
  // In the order of the template, so that nothing inserted is searched.
  for (const auto& [mark, text] : parts) {
    const size_t at = rest.find(mark);
    page += rest.substr(0, at);
    page += text;
    rest.remove_prefix(at + mark.size());
  }
  page += rest;
  return page;
}

}  // namespace tessera::report
