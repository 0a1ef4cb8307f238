#include "src/http/httplib_message.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {
namespace {

// What of a body is copied at once.
constexpr std::size_t kPart = std::size_t{64} << 10;

// A provider of cpp-httplib writes as much as it likes into a sink, and may do nothing for a while;
// one that does nothing so often is taken to be stuck.
constexpr int kMostIdleCalls = 1000;

class Provider {
 public:
  explicit Provider(const httplib::Request& request)
      : request_(request),
        length_(request.is_chunked_content_provider_ ? 0 : request.content_length_) {}

  bool Append(std::uint64_t offset, std::string& bytes) {
    httplib::DataSink sink;
    sink.write = [&bytes](const char* data, std::size_t size) {
      bytes.append(data, size);
      return true;
    };
    sink.is_writable = [] { return true; };
    sink.done = [this] { done_ = true; };
    ListenForTrailers(sink);
    for (int calls = 0; calls < kMostIdleCalls; ++calls) {
      if (done_ || (!request_.is_chunked_content_provider_ && offset >= length_)) return true;
      const std::size_t left =
          request_.is_chunked_content_provider_ ? 0 : static_cast<std::size_t>(length_ - offset);
      if (!request_.content_provider_(static_cast<std::size_t>(offset), left, sink)) return false;
      if (!bytes.empty()) return true;
    }
    return false;
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
  const std::uint64_t length_;
  bool done_ = false;  // of one without a length
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
    total_ = LengthOf(response);
    if (!request_.response_handler) return true;
    Response head = response;
    return request_.response_handler(ToHttplib(std::move(head)));
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

Request FromHttplib(const httplib::Request& from) {
  Request to;
  to.method = from.method;
  to.target = from.path;
  to.headers.Reserve(from.headers.size());
  for (const auto& [name, value] : from.headers) to.headers.Add(name, value);
  SetBody(from, to);
  SetProgress(from, to);
  if (from.response_handler || from.content_receiver) {
    const auto listener = std::make_shared<Listener>(from);
    to.on_head = [listener](const Response& response) { return listener->OnHead(response); };
    if (from.content_receiver) {
      to.receiver = [listener](std::string_view part) { return listener->OnPart(part); };
    }
  }
  return to;
}

httplib::Response ToHttplib(Response&& from) {
  httplib::Response to;
  to.version = from.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
  to.status = from.status;
  to.reason = std::move(from.reason);
  for (const auto& [name, value] : from.headers) to.headers.emplace(name, value);
  to.body = std::move(from.body);
  SetTrailers(from.trailers, to);
  return to;
}

}  // namespace holdfast::http::internal
