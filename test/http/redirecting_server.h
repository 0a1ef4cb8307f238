#ifndef HOLDFAST_TEST_HTTP_REDIRECTING_SERVER_H_
#define HOLDFAST_TEST_HTTP_REDIRECTING_SERVER_H_

// An executor that redirects, without a network.

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "holdfast/http/message.h"
#include "test/support/catch.h"

namespace holdfast::test {

inline http::Response RedirectTo(const std::string& location, int status = 302) {
  return {.status = status, .headers = {{"Location", location}}, .body = "moved"};
}

inline http::Response Page() { return {.status = 200, .body = "page"}; }

// Gives these answers one after the other, as Transport would, and keeps the requests.
struct RedirectingServer {
  std::vector<absl::StatusOr<http::Response>> answers;
  std::vector<http::Request> requests = {};

  absl::StatusOr<http::Response> operator()(const http::Request& request) {
    requests.push_back(request);
    REQUIRE(requests.size() <= answers.size());
    absl::StatusOr<http::Response> answer = answers[requests.size() - 1];
    if (!answer.ok()) return answer;
    http::Response head = *answer;
    head.body.clear();
    if (request.on_head && !request.on_head(head)) return absl::CancelledError("on_head");
    if (request.receiver && http::IsForReceiver(answer->status)) {
      if (request.receiver(answer->body).cancels()) return absl::CancelledError("receiver");
      answer->body.clear();
    }
    return answer;
  }
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_REDIRECTING_SERVER_H_
