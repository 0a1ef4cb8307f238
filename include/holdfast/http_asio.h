// All headers of holdfast::http_asio, and those of holdfast::http and holdfast::asio: policies
// around HTTP requests that run in an Asio context.
#ifndef HOLDFAST_HTTP_ASIO_H_
#define HOLDFAST_HTTP_ASIO_H_

#include "holdfast/asio.h"                       // IWYU pragma: export
#include "holdfast/http.h"                       // IWYU pragma: export
#include "holdfast/http_asio/async_transport.h"  // IWYU pragma: export

#endif  // HOLDFAST_HTTP_ASIO_H_
