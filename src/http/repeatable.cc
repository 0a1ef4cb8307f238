#include "repeatable.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace holdfast::http::internal {
namespace {

// RFC 9110, 9.2.2. Methods are case-sensitive.
constexpr std::array<std::string_view, 6> kIdempotent = {"GET",   "HEAD", "OPTIONS",
                                                         "TRACE", "PUT",  "DELETE"};

}  // namespace

bool IsIdempotent(const httplib::Request& request) {
  return std::find(kIdempotent.begin(), kIdempotent.end(), request.method) != kIdempotent.end() ||
         !request.get_header_value("Idempotency-Key").empty();
}

// What a provider without a length gave is gone.
bool CanStartOver(const httplib::Request& request) {
  return !request.content_provider_ || !request.is_chunked_content_provider_;
}

}  // namespace holdfast::http::internal
