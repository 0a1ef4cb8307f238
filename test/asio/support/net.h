#ifndef HOLDFAST_TEST_ASIO_SUPPORT_NET_H_
#define HOLDFAST_TEST_ASIO_SUPPORT_NET_H_

// What the tests need of Asio beyond what the driver does, of whichever flavour it was built for.

#include "holdfast/asio.h"

#ifdef HOLDFAST_BOOST_ASIO
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#else
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/compose.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#if ASIO_VERSION < 102400
#include <asio/experimental/deferred.hpp>
#else
#include <asio/deferred.hpp>
#endif
#endif

namespace holdfast::testing {

#if !defined(HOLDFAST_BOOST_ASIO) && ASIO_VERSION < 102400
inline constexpr const auto& kDeferred = ::asio::experimental::deferred;
#else
inline constexpr const auto& kDeferred = net::deferred;
#endif

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_ASIO_SUPPORT_NET_H_
