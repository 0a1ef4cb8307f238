// What the transport needs of Asio beyond what the driver does.
#ifndef HOLDFAST_SRC_HTTP_ASIO_NET_H_
#define HOLDFAST_SRC_HTTP_ASIO_NET_H_

#include "holdfast/asio/config.h"  // IWYU pragma: export

#ifdef HOLDFAST_BOOST_ASIO
#include <boost/asio/posix/stream_descriptor.hpp>  // IWYU pragma: export
#else
#include <asio/posix/stream_descriptor.hpp>  // IWYU pragma: export
#endif

namespace holdfast::http::internal {

// Where everything of one call runs.
using AsyncStrand = net::strand<net::any_io_executor>;

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ASIO_NET_H_
