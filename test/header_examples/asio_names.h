// What the examples of asio's headers call without saying what it is.
#pragma once

#include "holdfast/asio.h"

using namespace std::chrono_literals;

// The examples are written for the standalone Asio.
#ifdef HOLDFAST_BOOST_ASIO
namespace asio = boost::asio;
#endif

struct Request {
} request;

using Reply = absl::StatusOr<int>;

struct Server {
  asio::awaitable<Reply> Ask(const Request&) { co_return 1; }
} server;
