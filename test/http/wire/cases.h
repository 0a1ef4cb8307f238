// The samples in test/http/cases, which several tests read.
#ifndef HOLDFAST_TEST_HTTP_WIRE_CASES_H_
#define HOLDFAST_TEST_HTTP_WIRE_CASES_H_

#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace holdfast::http::wire {

inline nlohmann::json Cases(const std::string& name) {
  const std::string path = HOLDFAST_SOURCE_DIR "/test/http/cases/" + name;
  std::ifstream file(path);
  if (!file.good()) throw std::runtime_error("cannot read " + path);
  return nlohmann::json::parse(file);
}

// JSON's strings are UTF-8, and the bytes are Latin-1.
inline std::string Bytes(const nlohmann::json& text) {
  const auto& utf8 = text.get_ref<const std::string&>();
  std::string bytes;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte >= 0xc2) {
      byte = static_cast<unsigned char>(byte << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

// Whether a gateway, rather than a reader, does what is right for that request.
inline bool IsForGateways(std::string_view id) {
  if (id == "connect") return true;
  for (const std::string_view begin : {"hop-", "xff-", "path-", "expect-"}) {
    if (id.starts_with(begin)) return true;
  }
  return false;
}

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_TEST_HTTP_WIRE_CASES_H_
