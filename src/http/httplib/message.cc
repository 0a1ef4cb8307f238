#include <absl/status/status.h>
#include <absl/strings/numbers.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/httplib.h"
#include "src/http/httplib/names.h"

namespace holdfast::http {
namespace {

// What of a body is copied at once.
constexpr std::size_t kPart = std::size_t{64} << 10;

// What a sink holds before it says that it is not writable, and before it takes no more.
constexpr std::size_t kSinkIsFull = std::size_t{1} << 20;
constexpr std::size_t kSinkRefuses = std::size_t{64} << 20;

// cpp-httplib's content provider as a sender.
class Provider {
 public:
  explicit Provider(const httplib::Request& request)
      : request_(request),
        chunked_(request.is_chunked_content_provider_),
        length_(chunked_ ? 0 : request.content_length_) {}

  BodyAnswer Append(std::uint64_t offset, std::string& bytes) {
    if (offset == 0) done_ = false;
    if (done_) return true;
    bool refused = false;
    httplib::DataSink sink;
    // What a write hands over is there already, so that one of any size is taken.
    sink.write = [&bytes, &refused](const char* data, std::size_t size) {
      refused = refused || bytes.size() >= kSinkRefuses;
      if (!refused) bytes.append(data, size);
      return !refused;
    };
    sink.is_writable = [&bytes] { return bytes.size() < kSinkIsFull; };
    sink.done = [this] { done_ = true; };
    ListenForTrailers(sink);
    const auto left = static_cast<std::size_t>(chunked_ ? 0 : length_ - offset);
    const bool goes_on =
        request_.content_provider_(static_cast<std::size_t>(offset), left, sink) && !refused;
    return goes_on && bytes.empty() && !done_ ? BodyAnswer::Later() : goes_on;
  }

  Headers trailers() const { return trailers_; }

 private:
  template <class Sink>
  void ListenForTrailers(Sink& sink) {
    if constexpr (requires { sink.done_with_trailer; }) {
      sink.done_with_trailer = [this](const httplib::Headers& trailers) {
        done_ = true;
        for (const auto& [name, value] : trailers) trailers_.Add(name, value);
      };
    }
  }

  const httplib::Request& request_;
  const bool chunked_;
  const std::uint64_t length_;
  bool done_ = false;  // it said so
  Headers trailers_;
};

void SetBody(const httplib::Request& from, Request& to) {
  if (from.content_provider_) {
    const auto provider = std::make_shared<Provider>(from);
    to.sender = [provider](std::uint64_t offset, std::string& bytes) {
      return provider->Append(offset, bytes);
    };
    if (from.is_chunked_content_provider_) {
      to.trailers = [provider] { return provider->trailers(); };
    } else {
      to.sender_length = from.content_length_;
    }
  } else if (from.body.size() <= kPart) {
    to.body = from.body;
  } else {
    to.sender = [&from](std::uint64_t offset, std::string& bytes) {
      bytes.append(from.body, static_cast<std::size_t>(offset), kPart);
      return true;
    };
    to.sender_length = from.body.size();
  }
}

std::uint64_t LengthOf(const Response& response) {
  std::uint64_t length = 0;
  const auto value = response.headers.Find("Content-Length");
  return value && absl::SimpleAtoi(holdfast::internal::ToAbsl(*value), &length) ? length : 0;
}

// Where a response goes on its way: cpp-httplib's handler of its head, and its receiver.
class Listener {
 public:
  explicit Listener(const httplib::Request& request) : request_(request) {}

  bool OnHead(const Response& response) {
    offset_ = 0;
    total_ = LengthOf(response);
    if (!request_.response_handler) return true;
    Response head = response;
    return request_.response_handler(
        MessageTraits<httplib::Request>::FromResponse(std::move(head)));
  }
  bool OnPart(std::string_view part) {
    const std::uint64_t offset = std::exchange(offset_, offset_ + part.size());
    return request_.content_receiver(part.data(), part.size(), offset, total_);
  }

 private:
  const httplib::Request& request_;
  std::uint64_t offset_ = 0;
  std::uint64_t total_ = 0;  // 0: not known
};

template <class Callback>
BodyProgress ProgressBy(const Callback& callback) {
  if (!callback) return {};
  return [&callback](std::uint64_t done, std::optional<std::uint64_t> total) {
    return callback(done, total.value_or(0));
  };
}

template <class From>
void SetProgress(const From& from, Request& to) {
  if constexpr (requires { from.progress; }) {
    to.on_download = ProgressBy(from.progress);
  } else {
    to.on_download = ProgressBy(from.download_progress);
    to.on_upload = ProgressBy(from.upload_progress);
  }
}

template <class To>
void SetTrailers(const Headers& from, To& to) {
  if constexpr (requires { to.trailers; }) {
    for (const auto& [name, value] : from) to.trailers.emplace(name, value);
  }
}

}  // namespace

absl::StatusOr<Request> MessageTraits<httplib::Request>::ToRequest(
    const httplib::Request& request) {
  if (!request.params.empty() || internal::HasForm(request)) {
    return WithTransportError(
        absl::InvalidArgumentError("the request has params or a form, which only servers read; put "
                                   "them into its path and body (SetMultipart)"),
        TransportError::kRequest);
  }
  Request to;
  to.method = request.method;
  to.target = request.path;
  to.headers.Reserve(request.headers.size());
  for (const auto& [name, value] : request.headers) to.headers.Add(name, value);
  SetBody(request, to);
  SetProgress(request, to);
  if (request.response_handler || request.content_receiver) {
    const auto listener = std::make_shared<Listener>(request);
    to.on_head = [listener](const http::Response& response) { return listener->OnHead(response); };
    if (request.content_receiver) {
      to.receiver = [listener](std::string_view part) { return listener->OnPart(part); };
    }
  }
  return to;
}

httplib::Response MessageTraits<httplib::Request>::FromResponse(http::Response&& response) {
  httplib::Response to;
  to.version = response.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
  to.status = response.status;
  to.reason = std::move(response.reason);
  for (const auto& [name, value] : response.headers) to.headers.emplace(name, value);
  to.body = std::move(response.body);
  SetTrailers(response.trailers, to);
  return to;
}

}  // namespace holdfast::http
