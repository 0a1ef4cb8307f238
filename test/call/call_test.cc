#include "holdfast/call/call.h"

#include <absl/status/status.h>

#include <cstdint>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "holdfast/call/from_request.h"
#include "holdfast/call/key_function.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/stack/stack.h"
#include "test/support/catch.h"

namespace holdfast::call_test {
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

TEST_CASE("a request that is text may be any text") {
  // The defect: of a string literal it threw, since that is no std::string.
  std::string_view seen;
  std::int64_t cost = 0;
  const auto key = FromRequest<std::string>(
      [](const std::string& path) -> std::string_view { return std::string_view(path).substr(1); });
  const auto same =
      FromRequest<std::string>([](const std::string& path) -> const std::string& { return path; });
  const auto view = FromRequest<std::string_view>([](std::string_view path) { return path; });
  const auto size = FromRequest<std::string>([](const std::string& path) { return path.size(); });
  const auto take = [&](std::string_view path, Call& call) {
    CHECK(call.request_text() == path);
    CHECK(key(call) == path.substr(1));
    CHECK(same(call) == path);
    CHECK(view(call) == path);
    CHECK(view(call).data() == path.data());
    seen = key(call);
    cost = static_cast<std::int64_t>(size(call));
    return absl::OkStatus();
  };
  const auto call = Stack().Around(take);
  CHECK(call("/a/path/that/is/too/long/to/be/short").ok());
  CHECK(seen == "a/path/that/is/too/long/to/be/short");
  CHECK(cost == std::ssize(seen) + 1);
  CHECK(call("/short").ok());
  CHECK(seen == "short");
  const char* const pointer = "/pointer";
  CHECK(call(pointer).ok());
  CHECK(seen.data() == pointer + 1);
  CHECK(call(std::string_view("/view/of/more").substr(0, 5)).ok());
  CHECK(seen == "view");
  const std::string string = "/string";
  CHECK(call(string).ok());
  CHECK(seen.data() == string.data() + 1);
  char buffer[16] = "/buffer";
  CHECK(call(buffer).ok());
  CHECK(seen.data() == buffer + 1);

  const auto kept = [](const std::string&) -> std::string_view { return "kept elsewhere"; };
  const auto elsewhere = FromRequest<std::string>(kept);
  const auto look = [&](const char*, Call& running) {
    CHECK(elsewhere(running) == "kept elsewhere");
    return absl::OkStatus();
  };
  CHECK(Stack().Around(look)("/x").ok());
  const auto no_text = [&](int, Call& running) {
    CHECK(running.request_text() == std::nullopt);
    CHECK_THROWS_AS(key(running), std::invalid_argument);
    return absl::OkStatus();
  };
  CHECK(Stack().Around(no_text)(1).ok());
}

TEST_CASE("a key function is null, or gives the call's key") {
  const KeyFunction none;
  CHECK(none == nullptr);
  CHECK_FALSE(static_cast<bool>(none));
  const KeyFunction some = [](const Call& call) { return call.key().substr(1); };
  CHECK(some != nullptr);
  std::string_view seen;
  const auto look = [&](Call& call) {
    CHECK(none(call) == "xkey");
    seen = some(call);
    return absl::OkStatus();
  };
  CHECK(Stack().Around(look).With({.key = "xkey"}).ok());
  CHECK(seen == "key");
  static_assert(!std::is_constructible_v<KeyFunction, int (*)(const Call&)>);
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
}  // namespace holdfast::call_test
