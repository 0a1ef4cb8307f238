// Selects the Asio that the asynchronous driver uses, the standalone one or Boost's, as
// holdfast::net.
//
// Boost's is used if HOLDFAST_BOOST_ASIO is defined. The target holdfast::asio defines it if
// Holdfast was configured with -DHOLDFAST_ASIO=BOOST. The namespace is called net, because
// holdfast::asio would hide ::asio inside holdfast.
#ifndef HOLDFAST_ASIO_CONFIG_H_
#define HOLDFAST_ASIO_CONFIG_H_

// IWYU pragma: begin_exports
#ifdef HOLDFAST_BOOST_ASIO

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_context.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/version.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#if BOOST_ASIO_VERSION < 102600 || !defined(BOOST_ASIO_HAS_CO_AWAIT)
#error "holdfast::asio needs Boost 1.81 or later, and coroutines"
#endif

namespace holdfast {
namespace net = ::boost::asio;
namespace internal {
using ErrorCode = boost::system::error_code;
using SystemError = boost::system::system_error;
}  // namespace internal
}  // namespace holdfast

#else

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/query.hpp>
#include <asio/recycling_allocator.hpp>
#include <asio/require.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/system_context.hpp>
#include <asio/system_executor.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#include <asio/version.hpp>
#include <system_error>

#if ASIO_VERSION < 102200 || !defined(ASIO_HAS_CO_AWAIT)
#error "holdfast::asio needs Asio 1.22 or later, and coroutines: see cmake/Findasio.cmake for clang"
#endif

namespace holdfast {
namespace net = ::asio;
namespace internal {
using ErrorCode = std::error_code;
using SystemError = std::system_error;
}  // namespace internal
}  // namespace holdfast

#endif
// IWYU pragma: end_exports

#endif  // HOLDFAST_ASIO_CONFIG_H_
