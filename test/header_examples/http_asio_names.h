// What the examples of http_asio's headers call without saying what it is.
#pragma once

#include "holdfast/http_asio.h"

using namespace std::chrono_literals;

// The examples are written for the standalone Asio.
#ifdef HOLDFAST_BOOST_ASIO
namespace asio = boost::asio;
#endif
