// What the examples of core's headers call without saying what it is.
#pragma once

#include <absl/random/random.h>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

using namespace std::chrono_literals;

constexpr int kBusy = 503;
constexpr double kLastKnownPrice = 9.99;

const std::string customer, host;

struct Request {
  std::int64_t size = 0;
} request;

struct Reply {
  int code = 0;
};

template <>
struct holdfast::ResultTraits<Reply> {
  static absl::Status StatusOf(const Reply&) { return {}; }
  static Reply FromStatus(const absl::Status&) { return {}; }
  static std::optional<Duration> RetryAfter(const Reply&) { return std::nullopt; }
};

struct Executor {
  absl::StatusOr<Reply> operator()() const { return Reply{}; }
  absl::StatusOr<Reply> operator()(const Request&) const { return Reply{}; }
} transport, executor, stubborn;

std::string_view CustomerOf(const Request&) { return customer; }
std::string_view HostOf(const Request&) { return host; }
std::int64_t SizeOf(const absl::StatusOr<Reply>&) { return 1; }
Reply server(const Request&) { return {}; }
struct DbError : std::runtime_error {
  using std::runtime_error::runtime_error;
  bool busy() const { return false; }
};
struct DbBusy : DbError {
  using DbError::DbError;
};
int query(std::string_view) { return 1; }
absl::StatusOr<double> ask_price() { return 1.0; }
const auto fetch = holdfast::Stack().Around(transport);
absl::StatusOr<Reply> result = fetch(request);

using Order = int;
struct Client {
  absl::StatusOr<Order> GetOrder(int) { return 1; }
} client;
struct Queue {
  void Add(holdfast::Waker*) {}
} queue;

const int id = 7;
const holdfast::TimePoint soon, deadline;
const std::stop_token token;
const auto breaker =
    std::make_shared<holdfast::CircuitBreaker>(holdfast::CircuitBreaker::Options{});
const auto bytes =
    std::make_shared<holdfast::TokenBucket>(holdfast::TokenBucket::Options{.rate = 1});
const auto buckets = std::make_shared<holdfast::KeyedTokenBucket>(
    holdfast::KeyedTokenBucket::Options{.limits = {.rate = 1}});
const auto per_second = bytes, per_minute = bytes, for_all = bytes;
const std::shared_ptr<holdfast::RetryBudget> budget;
const std::shared_ptr<void> admission;
holdfast::Parker parker;
holdfast::testing::FakeClock fake_clock;

template <class... Parts>
void log(const Parts&...) {}
void serve(Request) {}
void Connect() {}
