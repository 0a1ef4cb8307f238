// Drives an exchange by hand: takes what it writes, and says what came of it.
#ifndef HOLDFAST_TEST_HTTP_EXCHANGE_TALK_H_
#define HOLDFAST_TEST_HTTP_EXCHANGE_TALK_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"
#include "src/http/exchange/exchange.h"

namespace holdfast::http::internal::talk {

// Whatever an upload or an exchange gives, in pieces of at most so many bytes as `most` says.
template <class Next, class Wrote>
std::string TakeAll(const Next& next, const Wrote& wrote,
                    const std::function<std::size_t()>& most) {
  std::string bytes;
  for (;;) {
    const std::span<const std::string_view> parts = next();
    if (parts.empty()) return bytes;
    std::string given;
    for (const std::string_view part : parts) given += part;
    given.resize(std::min(given.size(), most()));
    bytes += given;
    wrote(given.size());
  }
}

inline std::size_t All() { return std::string::npos; }

inline std::string WriteAll(Exchange& exchange, const std::function<std::size_t()>& most = All) {
  return TakeAll([&] { return exchange.ToWrite(); },
                 [&](std::size_t bytes) { exchange.Wrote(bytes); }, most);
}

inline std::string WriteAll(Upload& upload, const std::function<std::size_t()>& most = All) {
  return TakeAll([&] { return upload.Next(); }, [&](std::size_t bytes) { upload.Wrote(bytes); },
                 most);
}

inline std::string Text(const Headers& headers) {
  std::string text;
  for (const Header& header : headers) {
    absl::StrAppend(&text, " [", header.name, "=", header.value, "]");
  }
  return text;
}

inline std::string Text(const absl::Status& status) {
  const std::optional<TransportError> kind = TransportErrorOf(status);
  return absl::StrCat(absl::StatusCodeToString(status.code()), " ",
                      kind ? holdfast::internal::ToAbsl(ToString(*kind)) : "none", ": ",
                      status.message());
}

inline std::string Text(const Response& response) {
  return absl::StrCat(response.status, " ", response.reason, Text(response.headers), " {",
                      response.body, "}", Text(response.trailers));
}

// What came of an exchange that is over, and whether its connection may be kept.
inline std::string Outcome(Exchange& exchange) {
  if (!exchange.done()) return "not over";
  const bool keep = exchange.may_keep();
  const bool tunnel = exchange.framing() == wire::Framing::kTunnel;
  const absl::StatusOr<Response> response = exchange.TakeResult();
  return absl::StrCat(response.ok() ? Text(*response) : Text(response.status()),
                      tunnel ? " tunnel " + exchange.rest()
                      : keep ? " keep"
                             : " close");
}

}  // namespace holdfast::http::internal::talk

#endif  // HOLDFAST_TEST_HTTP_EXCHANGE_TALK_H_
