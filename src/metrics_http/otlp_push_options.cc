#include "holdfast/metrics_http/otlp_push_options.h"

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/http/wire/message.h"
#include "src/http/origin.h"
#include "src/http/wire/grammar.h"
#include "src/metrics_http/otlp_push_exchange.h"

namespace holdfast {
namespace {

bool DescribesBody(const http::Header& header) {
  constexpr std::string_view kNames[] = {"Content-Type", "Content-Encoding", "Content-Length",
                                         "Transfer-Encoding"};
  return std::ranges::any_of(kNames, [&header](std::string_view name) {
    return http::wire::EqualsIgnoringCase(header.name, name);
  });
}

bool IsValid(const http::Header& header) {
  return http::wire::IsToken(header.name) &&
         http::wire::OnlyOf(http::wire::kTextBytes, header.value);
}

}  // namespace

absl::Status Validate(const OtlpPushOptions& options) {
  internal::OptionsChecker check("OtlpPush");
  const internal::OtlpEndpoint endpoint = internal::SplitEndpoint(options.endpoint);
  const absl::StatusOr<http::internal::Origin> origin =
      http::internal::ParseOrigin(endpoint.origin);
  check(origin.ok(), "endpoint must be http[s]://host[:port][/path]: ", origin.status().message());
  check(http::wire::IsTarget("POST", endpoint.target) &&
            endpoint.target.find('#') == std::string::npos,
        "the path of endpoint must be percent-encoded and have no fragment");
  check(options.interval >= std::chrono::milliseconds(100), "interval must be at least 100 ms");
  check(options.timeout >= std::chrono::milliseconds(10), "timeout must be at least 10 ms");
  check(std::ranges::none_of(options.headers, DescribesBody),
        "headers must not describe the body, as Content-Type does");
  check(std::ranges::all_of(options.headers, IsValid),
        "headers has a name or a value that is none");
  check(options.max_body >= 1, "max_body must be at least 1");
  check(http::Validate(options.transport));
  return check.status();
}

}  // namespace holdfast
