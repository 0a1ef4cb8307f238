// FromRequest in a shared object that is built with -fvisibility=hidden, as a plugin is: it knows
// the request of a call that is made outside of it.
#include <string>
#include <string_view>

#include "test/call/visibility/request.h"
#include "test/support/catch.h"

namespace holdfast::visibility_test {
namespace {

using visibility::Request;

class RequestCall final : public Call {
 public:
  template <class T>
  explicit RequestCall(const T& request) : Call(kOptions, nullptr) {
    SetRequest(request);
  }
  Waker& waker() override { return parker_; }

 private:
  static inline const CallOptions kOptions;
  Parker parker_;
};

TEST_CASE("a key function of a shared object with hidden visibility knows the request") {
  // Else this shows nothing.
  REQUIRE(visibility::MarkOfRequest() != &internal::request_type<Request>);

  const Request request{.host = "a.example"};
  RequestCall call(request);
  CHECK(visibility::HostOfRequest()(call) == "a.example");

  const std::string text = "b.example";
  RequestCall text_call(text);
  CHECK(visibility::Text()(text_call) == "b.example");
}

TEST_CASE("a request of another type is refused there as well") {
  const int request = 1;
  RequestCall call(request);
  CHECK_THROWS_AS(visibility::HostOfRequest()(call), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::visibility_test
