// All headers of holdfast::http and of holdfast::core, but for the adapter to cpp-httplib
// (holdfast/http/httplib.h and httplib_client.h): policies around HTTP requests.
//
//   holdfast::http::Transport orders("https://orders.example.com");
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),
//                                holdfast::Retry({.max_attempts = 4}),
//                                holdfast::Timeout(2s))
//                    .Around(orders);
//   absl::StatusOr<holdfast::http::Response> response = fetch(request);
#ifndef HOLDFAST_HTTP_H_
#define HOLDFAST_HTTP_H_

#include "holdfast/holdfast.h"                      // IWYU pragma: export
#include "holdfast/http/headers.h"                  // IWYU pragma: export
#include "holdfast/http/message.h"                  // IWYU pragma: export
#include "holdfast/http/multipart.h"                // IWYU pragma: export
#include "holdfast/http/redirect.h"                 // IWYU pragma: export
#include "holdfast/http/repeatable.h"               // IWYU pragma: export
#include "holdfast/http/request.h"                  // IWYU pragma: export
#include "holdfast/http/result.h"                   // IWYU pragma: export
#include "holdfast/http/retry.h"                    // IWYU pragma: export
#include "holdfast/http/standard_client.h"          // IWYU pragma: export
#include "holdfast/http/standard_client_options.h"  // IWYU pragma: export
#include "holdfast/http/tcp_keep_alive.h"           // IWYU pragma: export
#include "holdfast/http/trace_headers.h"            // IWYU pragma: export
#include "holdfast/http/transport.h"                // IWYU pragma: export
#include "holdfast/http/transport_error.h"          // IWYU pragma: export
#include "holdfast/http/transport_options.h"        // IWYU pragma: export
#include "holdfast/http/wire/message.h"             // IWYU pragma: export
#include "holdfast/http/wire/reader.h"              // IWYU pragma: export
#include "holdfast/http/wire/writer.h"              // IWYU pragma: export

#endif  // HOLDFAST_HTTP_H_
