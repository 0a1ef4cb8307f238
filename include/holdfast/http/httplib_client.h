// HttplibClient is a StandardClient with the functions of httplib::Client, so that a program which
// calls that one gets the policies by another declaration.
//
//   holdfast::http::HttplibClient client("http://localhost:8080", {.attempt_timeout = 2s});
//   client.set_bearer_token_auth("secret");
//   httplib::Result order = client.Get("/orders/7");
//   if (order && order->status == 200) order = client.Post("/seen", order->body, "text/plain");
#ifndef HOLDFAST_HTTP_HTTPLIB_CLIENT_H_
#define HOLDFAST_HTTP_HTTPLIB_CLIENT_H_

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/http/httplib.h"
#include "holdfast/http/multipart.h"
#include "holdfast/http/standard_client.h"

namespace holdfast::http {

namespace internal {

// The bodies that a call can be given, as a request with nothing else in it.
absl::StatusOr<httplib::Request> ContentOf();
absl::StatusOr<httplib::Request> ContentOf(std::string body, const std::string& content_type);
absl::StatusOr<httplib::Request> ContentOf(const char* body, std::size_t length,
                                           const std::string& content_type);
absl::StatusOr<httplib::Request> ContentOf(std::size_t length, httplib::ContentProvider provider,
                                           const std::string& content_type);
absl::StatusOr<httplib::Request> ContentOf(httplib::ContentProviderWithoutLength provider,
                                           const std::string& content_type);
absl::StatusOr<httplib::Request> ContentOf(const httplib::Params& params);

template <class Items>
  requires requires(const Items& items) {
    items.begin()->name;
    items.begin()->filename;
    items.begin()->content_type;
  }
absl::StatusOr<httplib::Request> ContentOf(const Items& items) {
  httplib::Request request;
  if (absl::Status status = SetMultipart(request, items); !status.ok()) return status;
  return request;
}

template <class... Content>
concept IsContent =
    requires(Content&&... content) { internal::ContentOf(std::forward<Content>(content)...); };

}  // namespace internal

// A handle: copies share the connections and the policies, but not what the setters set. Calls are
// thread-safe; the setters are for the time before the first call of another thread.
//
// It has Get to Options, send and three setters. Timeouts, proxy, certificates, redirects and
// decoding are StandardClientOptions instead of setters. Unlike httplib::Client, it sends the calls
// of several threads side by side, follows redirects only with
// StandardClientOptions::redirects, and its errors are as few as httplib::Error has names for:
// ResultTraits<httplib::Result>::StatusOf(result) is the whole status, a policy's rejection
// included. A boundary of one's own for a form, and forms with providers, are not supported.
//
// In a path spaces and bytes beyond ASCII are percent-encoded, and nothing else is.
class HttplibClient {
 public:
  using Progress = std::function<bool(std::uint64_t current, std::uint64_t total)>;

  // `origin` is scheme://host[:port]. Throws std::invalid_argument, with the text of Validate, for
  // invalid options. With an invalid origin every call fails.
  explicit HttplibClient(std::string_view origin, StandardClientOptions options = {})
      : HttplibClient(StandardClient(origin, std::move(options))) {}
  explicit HttplibClient(StandardClient client) : client_(std::move(client)) {}

  const StandardClient& standard_client() const { return client_; }

  // NOLINTBEGIN(readability-identifier-naming): the names are cpp-httplib's.

  // For requests that have no header of that name.
  void set_default_headers(httplib::Headers headers) { default_headers_ = std::move(headers); }
  // For requests without Authorization. The later call counts. A user and password that are both
  // empty, and an empty token, are none.
  void set_basic_auth(const std::string& username, const std::string& password);
  void set_bearer_token_auth(const std::string& token);

  httplib::Result send(const httplib::Request& request) const { return Send(request); }

  // NOLINTEND(readability-identifier-naming)

  // `receiver` gets the body of a response, but for those that are failures (IsForReceiver,
  // message.h); false ends the request.
  httplib::Result Get(const std::string& path, Progress progress = {}) const {
    return Get(path, {}, {}, {}, {}, std::move(progress));
  }
  httplib::Result Get(const std::string& path, const httplib::Headers& headers,
                      Progress progress = {}) const {
    return Get(path, {}, headers, {}, {}, std::move(progress));
  }
  httplib::Result Get(const std::string& path, httplib::ContentReceiver receiver,
                      Progress progress = {}) const {
    return Get(path, {}, {}, {}, std::move(receiver), std::move(progress));
  }
  httplib::Result Get(const std::string& path, const httplib::Headers& headers,
                      httplib::ContentReceiver receiver, Progress progress = {}) const {
    return Get(path, {}, headers, {}, std::move(receiver), std::move(progress));
  }
  httplib::Result Get(const std::string& path, httplib::ResponseHandler on_head,
                      httplib::ContentReceiver receiver, Progress progress = {}) const {
    return Get(path, {}, {}, std::move(on_head), std::move(receiver), std::move(progress));
  }
  httplib::Result Get(const std::string& path, const httplib::Headers& headers,
                      httplib::ResponseHandler on_head, httplib::ContentReceiver receiver,
                      Progress progress = {}) const {
    return Get(path, {}, headers, std::move(on_head), std::move(receiver), std::move(progress));
  }
  // `params` become the query, behind the one that `path` has.
  httplib::Result Get(const std::string& path, const httplib::Params& params,
                      const httplib::Headers& headers, Progress progress = {}) const {
    return Get(path, params, headers, {}, {}, std::move(progress));
  }
  httplib::Result Get(const std::string& path, const httplib::Params& params,
                      const httplib::Headers& headers, httplib::ContentReceiver receiver,
                      Progress progress = {}) const {
    return Get(path, params, headers, {}, std::move(receiver), std::move(progress));
  }
  httplib::Result Get(const std::string& path, const httplib::Params& params,
                      const httplib::Headers& headers, httplib::ResponseHandler on_head,
                      httplib::ContentReceiver receiver, Progress progress = {}) const;

  httplib::Result Head(const std::string& path, const httplib::Headers& headers = {}) const {
    return SendContent("HEAD", path, headers);
  }
  httplib::Result Options(const std::string& path, const httplib::Headers& headers = {}) const {
    return SendContent("OPTIONS", path, headers);
  }

  // What follows the path, and the headers if there are some, is one of these:
  //   nothing
  //   body, content_type              a std::string; or a const char* and a length
  //   length, provider, content_type
  //   provider, content_type          without a length: sent in chunks, and only once
  //   params                          as application/x-www-form-urlencoded; in braces they don't
  //                                   compile, since they could be headers
  //   items                           a form: httplib::MultipartFormDataItems, or since 0.23
  //                                   httplib::UploadFormDataItems
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Post(const std::string& path, Content&&... content) const {
    return SendContent("POST", path, {}, std::forward<Content>(content)...);
  }
  httplib::Result Post(const std::string& path, const httplib::Params& params) const {
    return SendContent("POST", path, {}, params);
  }
  httplib::Result Post(const std::string& path, const httplib::Headers& headers) const {
    return SendContent("POST", path, headers);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Post(const std::string& path, const httplib::Headers& headers,
                       Content&&... content) const {
    return SendContent("POST", path, headers, std::forward<Content>(content)...);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Put(const std::string& path, Content&&... content) const {
    return SendContent("PUT", path, {}, std::forward<Content>(content)...);
  }
  httplib::Result Put(const std::string& path, const httplib::Params& params) const {
    return SendContent("PUT", path, {}, params);
  }
  httplib::Result Put(const std::string& path, const httplib::Headers& headers) const {
    return SendContent("PUT", path, headers);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Put(const std::string& path, const httplib::Headers& headers,
                      Content&&... content) const {
    return SendContent("PUT", path, headers, std::forward<Content>(content)...);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Patch(const std::string& path, Content&&... content) const {
    return SendContent("PATCH", path, {}, std::forward<Content>(content)...);
  }
  httplib::Result Patch(const std::string& path, const httplib::Params& params) const {
    return SendContent("PATCH", path, {}, params);
  }
  httplib::Result Patch(const std::string& path, const httplib::Headers& headers) const {
    return SendContent("PATCH", path, headers);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Patch(const std::string& path, const httplib::Headers& headers,
                        Content&&... content) const {
    return SendContent("PATCH", path, headers, std::forward<Content>(content)...);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Delete(const std::string& path, Content&&... content) const {
    return SendContent("DELETE", path, {}, std::forward<Content>(content)...);
  }
  httplib::Result Delete(const std::string& path, const httplib::Params& params) const {
    return SendContent("DELETE", path, {}, params);
  }
  httplib::Result Delete(const std::string& path, const httplib::Headers& headers) const {
    return SendContent("DELETE", path, headers);
  }
  template <class... Content>
    requires internal::IsContent<Content...>
  httplib::Result Delete(const std::string& path, const httplib::Headers& headers,
                         Content&&... content) const {
    return SendContent("DELETE", path, headers, std::forward<Content>(content)...);
  }

 private:
  template <class... Content>
  httplib::Result SendContent(const char* method, const std::string& path,
                              const httplib::Headers& headers, Content&&... content) const {
    return SendTo(method, path, headers, internal::ContentOf(std::forward<Content>(content)...));
  }
  httplib::Result SendTo(const char* method, const std::string& path,
                         const httplib::Headers& headers,
                         absl::StatusOr<httplib::Request> content) const;
  httplib::Result Send(httplib::Request request) const;

  StandardClient client_;
  httplib::Headers default_headers_;
  std::string authorization_;  // empty: none
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_HTTPLIB_CLIENT_H_
