// All headers of holdfast::metrics_http: metrics over HTTP.
#ifndef HOLDFAST_METRICS_HTTP_H_
#define HOLDFAST_METRICS_HTTP_H_

#include "holdfast/metrics_http/metrics_server.h"     // IWYU pragma: export
#include "holdfast/metrics_http/otlp_push.h"          // IWYU pragma: export
#include "holdfast/metrics_http/otlp_push_options.h"  // IWYU pragma: export

#endif  // HOLDFAST_METRICS_HTTP_H_
