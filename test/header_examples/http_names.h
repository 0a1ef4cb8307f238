// What the examples of http's headers call without saying what it is.
#pragma once

#include "holdfast/http.h"

using namespace std::chrono_literals;

holdfast::http::Request request;
const holdfast::http::Transport transport("http://localhost");
const std::shared_ptr<holdfast::RetryBudget> budget;
