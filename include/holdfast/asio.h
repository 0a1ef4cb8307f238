// All headers of holdfast::asio and of holdfast::core: policies around asynchronous operations of
// Asio.
#ifndef HOLDFAST_ASIO_H_
#define HOLDFAST_ASIO_H_

#include "holdfast/asio/any_async_executor.h"  // IWYU pragma: export
#include "holdfast/asio/around.h"              // IWYU pragma: export
#include "holdfast/asio/config.h"              // IWYU pragma: export
#include "holdfast/asio/status.h"              // IWYU pragma: export
#include "holdfast/holdfast.h"                 // IWYU pragma: export

#endif  // HOLDFAST_ASIO_H_
