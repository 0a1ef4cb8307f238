// All of holdfast::asio, and all of the core: policies around calls over Asio.
#ifndef HOLDFAST_ASIO_H_
#define HOLDFAST_ASIO_H_

#include "holdfast/asio/around.h"  // IWYU pragma: export
#include "holdfast/asio/config.h"  // IWYU pragma: export
#include "holdfast/asio/status.h"  // IWYU pragma: export
#include "holdfast/holdfast.h"     // IWYU pragma: export

#endif  // HOLDFAST_ASIO_H_
