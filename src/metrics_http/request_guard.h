// Which requests a server of metrics answers.
#ifndef HOLDFAST_SRC_METRICS_HTTP_REQUEST_GUARD_H_
#define HOLDFAST_SRC_METRICS_HTTP_REQUEST_GUARD_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/http/wire/reader.h"
#include "holdfast/metrics_http/metrics_server.h"
#include "src/metrics_http/server_response.h"

namespace holdfast::internal {

// The path of a request, without its query; nullopt for a target that has none.
std::optional<std::string_view> PathOf(std::string_view target);

// Why it is refused; nullopt: it is not.
std::optional<ServerResponse> RefusalOf(const http::wire::RequestReader& request,
                                        const MetricsServerOptions& options);

// The parts of it.
//
// Whether a request is meant for this server: localhost, a literal address or one of `hosts`, each
// with any port or none. No other site has such a name, whatever it has its own name lead to.
bool IsHostOf(std::string_view host, std::span<const std::string> hosts);
// Whether the value of Authorization has the token.
bool BringsToken(std::string_view authorization, std::string_view token);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_REQUEST_GUARD_H_
