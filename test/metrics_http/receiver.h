#ifndef HOLDFAST_TEST_METRICS_HTTP_RECEIVER_H_
#define HOLDFAST_TEST_METRICS_HTTP_RECEIVER_H_

// An OTLP receiver without a network, for the tests of OtlpPush.

#include <absl/status/statusor.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/http/message.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/metrics_http/otlp_push.h"

namespace holdfast::test {

using Answer = absl::StatusOr<http::Response>;

inline Answer Says(int status, http::Headers headers = {}, std::string body = "{}") {
  return http::Response{.status = status, .headers = std::move(headers), .body = std::move(body)};
}

// What it is sent, in the order in which it came; answers as it is told. A handle. Thread-safe.
class Receiver {
 public:
  using Script = std::function<Answer(std::size_t number)>;  // of the request, from 1

  explicit Receiver(Script script) : parts_(std::make_shared<Parts>(std::move(script))) {}

  Answer operator()(const http::Request& request) const {
    std::size_t number = 0;
    {
      const std::lock_guard lock(parts_->mutex);
      parts_->requests.push_back(request);
      number = parts_->requests.size();
    }
    return parts_->script(number);
  }

  std::vector<http::Request> requests() const {
    const std::lock_guard lock(parts_->mutex);
    return parts_->requests;
  }
  std::size_t count() const { return requests().size(); }

 private:
  struct Parts {
    explicit Parts(Script s) : script(std::move(s)) {}
    const Script script;
    std::mutex mutex;
    std::vector<http::Request> requests;
  };
  std::shared_ptr<Parts> parts_;
};

inline Receiver Always(const Answer& answer) {
  return Receiver([answer](std::size_t) { return answer; });
}

// What on_push was told. Thread-safe.
class Told {
 public:
  std::function<void(const OtlpPushResult&)> Hook() {
    return [this](const OtlpPushResult& result) {
      const std::lock_guard lock(mutex_);
      results_.push_back(result);
      came_.notify_all();
    };
  }
  // When there are so many.
  std::vector<OtlpPushResult> Await(std::size_t n) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return results_.size() >= n; });
    return results_;
  }
  std::vector<OtlpPushResult> results() { return Await(0); }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<OtlpPushResult> results_;
};

inline std::shared_ptr<Metrics> SomeMetrics() {
  return std::make_shared<Metrics>(MetricsOptions{.service_name = "shop"});
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_HTTP_RECEIVER_H_
