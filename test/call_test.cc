#include "holdfast/call.h"

#include <absl/status/status.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "holdfast/hedge.h"
#include "holdfast/stack.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;

struct Order {
  std::string customer;
};

// What a function of the request says, as a policy sees it.
class Note {
 public:
  explicit Note(std::string& note) : note_(&note) {}
  struct State {};
  Verdict Before(Call& call, State&) const {
    const Order* const order = call.request<Order>();
    *note_ += order == nullptr ? "-" : order->customer;
    return Verdict::Proceed();
  }
  template <class R>
  Next After(Call&, State&, R&) const {
    return Next::Done();
  }

 private:
  std::string* note_;
};

TEST_CASE("a policy sees the request that a call is made with") {
  std::string note;
  const auto take = [](const Order&, int) { return absl::OkStatus(); };
  const auto call = Stack(Note(note)).Around(take);
  CHECK(call(Order{"a"}, 1).ok());
  Order order{"b"};
  CHECK(call(order, 1).ok());
  const Order constant{"c"};
  CHECK(call.With({}, constant, 1).ok());
  CHECK(note == "abc");
}

TEST_CASE("another type than the request's is not mistaken for it") {
  std::string note;
  CHECK(Stack(Note(note)).Around([](int) { return absl::OkStatus(); })(1).ok());
  CHECK(Stack(Note(note)).Around([] { return absl::OkStatus(); })().ok());
  const auto second = [](int, const Order&) { return absl::OkStatus(); };
  CHECK(Stack(Note(note)).Around(second)(1, Order{"x"}).ok());
  CHECK(note == "---");
}

TEST_CASE("the request is known in stacks inside of stacks, and in branches") {
  std::string note;
  const auto take = [](const Order&) { return absl::OkStatus(); };
  const auto inner = Stack(Note(note)).Around(take);
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  const auto call =
      Stack(Note(note), Hedge({.delay = 1h, .pool = pool}, HedgeAll()), Note(note)).Around(inner);
  CHECK(call(Order{"x"}).ok());
  CHECK(note == "xxx");
}

TEST_CASE("FromRequest makes functions of a call from those of a request") {
  std::string_view seen;
  const auto customer =
      FromRequest<Order>([](const Order& order) -> std::string_view { return order.customer; });
  const auto member = FromRequest<Order>(&Order::customer);
  const auto check = [&](const Order&, Call& call) {
    seen = customer(call);
    CHECK(member(call) == seen);
    return absl::OkStatus();
  };
  const Order order{"somebody"};
  CHECK(Stack().Around(check)(order).ok());
  CHECK(seen.data() == order.customer.data());
  const auto wrong = [&](int, Call& call) {
    CHECK_THROWS_AS(customer(call), std::invalid_argument);
    return absl::OkStatus();
  };
  CHECK(Stack().Around(wrong)(1).ok());
}

}  // namespace
}  // namespace holdfast
