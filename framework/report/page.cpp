// SPDX-License-Identifier: Apache-2.0

#include "framework/report/page.hpp"

#include <string_view>
#include <utility>
#include <vector>

namespace tessera::report {

// Generated from the files in page/, and from the plotting library.
extern const unsigned char page_html[];
extern const size_t page_html_bytes;
extern const unsigned char page_css[];
extern const size_t page_css_bytes;
extern const unsigned char data_js[];
extern const size_t data_js_bytes;
extern const unsigned char plots_js[];
extern const size_t plots_js_bytes;
extern const unsigned char grids_js[];
extern const size_t grids_js_bytes;
extern const unsigned char svg_js[];
extern const size_t svg_js_bytes;
extern const unsigned char page_js[];
extern const size_t page_js_bytes;
extern const unsigned char export_js[];
extern const size_t export_js_bytes;
extern const unsigned char chart_js[];
extern const size_t chart_js_bytes;

namespace {

using Json = nlohmann::ordered_json;

std::string_view text_of(const unsigned char* data, size_t bytes) {
  return {reinterpret_cast<const char*>(data), bytes};
}

Json documents_json(std::span<const Document> documents) {
  Json list = Json::array();
  for (const Document& document : documents) {
    list.push_back({{"name", document.name},
                    {"kind", document.kind},
                    {"json", document.json}});
  }
  return list;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// "<" only stands in strings of JSON, where an escape means the same.
std::string data_text(std::span<const Document> documents) {
  const std::string text = dump({{"documents", documents_json(documents)}});
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

// What draws, in a browser or outside one.
std::string drawing_script() {
  std::string script;
  for (const std::string_view part :
       {text_of(data_js, data_js_bytes), text_of(plots_js, plots_js_bytes),
        text_of(grids_js, grids_js_bytes), text_of(svg_js, svg_js_bytes)}) {
    script += part;
  }
  return script;
}

}  // namespace

bool has_plots() { return chart_js_bytes > 0; }

std::string picture_script(std::span<const Document> documents,
                           std::span<const std::string> names) {
  const Json request = {
      {"names", std::vector<std::string>(names.begin(), names.end())},
      {"documents", documents_json(documents)}};
  // The library then sets a global name, as in a browser.  JSON as a text that
  // is parsed keeps a key such as __proto__ what it is.
  std::string script = "exports = module = undefined;\n";
  script += text_of(chart_js, chart_js_bytes);
  script += "\n" + drawing_script();
  script += "const request = JSON.parse(" + dump(dump(request)) + ");\n";
  script += text_of(export_js, export_js_bytes);
  return script;
}

std::string make_page(std::span<const Document> documents) {
  const std::string data = data_text(documents);
  const std::string script =
      drawing_script() + std::string(text_of(page_js, page_js_bytes));
  const std::pair<std::string_view, std::string_view> parts[] = {
      {"@@STYLE@@", text_of(page_css, page_css_bytes)},
      {"@@DATA@@", data},
      {"@@LIBRARY@@", text_of(chart_js, chart_js_bytes)},
      {"@@SCRIPT@@", script}};
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
