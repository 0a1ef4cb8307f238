// What the examples of http's headers call without saying what it is.
#pragma once

#include "holdfast/http.h"

using namespace std::chrono_literals;

httplib::Client client("localhost");
httplib::Request request;
const holdfast::http::Transport transport("http://localhost");
const std::shared_ptr<holdfast::RetryBudget> budget;
