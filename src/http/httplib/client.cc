#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <memory>

#include "holdfast/http/httplib_client.h"
#include "src/http/httplib/names.h"

namespace holdfast::http {
namespace {

// Percent-encodes the bytes that `must` names.
template <class Must>
std::string Encoded(const std::string& text, Must must) {
  std::string encoded;
  for (const char byte : text) {
    if (must(byte)) {
      absl::StrAppend(&encoded, "%",
                      absl::AsciiStrToUpper(absl::BytesToHexString(absl::string_view(&byte, 1))));
    } else {
      encoded += byte;
    }
  }
  return encoded;
}

std::string EncodedPath(const std::string& path) {
  return Encoded(path, [](unsigned char byte) { return byte == ' ' || byte >= 0x80; });
}

// All but what RFC 3986, 2.3, calls unreserved.
std::string EncodedParam(const std::string& text) {
  return Encoded(text, [](unsigned char byte) {
    return !absl::ascii_isalnum(byte) && byte != '-' && byte != '.' && byte != '_' && byte != '~';
  });
}

std::string QueryOf(const httplib::Params& params) {
  std::string query;
  for (const auto& [name, value] : params) {
    absl::StrAppend(&query, query.empty() ? "" : "&", EncodedParam(name), "=", EncodedParam(value));
  }
  return query;
}

std::string WithQuery(const std::string& path, const httplib::Params& params) {
  if (params.empty()) return path;
  const char* const before = path.find('?') == std::string::npos ? "?" : "&";
  return absl::StrCat(path, before, QueryOf(params));
}

bool Has(const httplib::Headers& headers, const std::string& name) {
  return headers.find(name) != headers.end();
}

httplib::Request WithType(httplib::Request request, const std::string& content_type) {
  if (!content_type.empty()) request.headers.emplace("Content-Type", content_type);
  return request;
}

httplib::Result Failed(const absl::Status& status) {
  return ResultTraits<httplib::Result>::FromStatus(status);
}

}  // namespace

namespace internal {

absl::StatusOr<httplib::Request> ContentOf() { return httplib::Request(); }

absl::StatusOr<httplib::Request> ContentOf(std::string body, const std::string& content_type) {
  httplib::Request request;
  request.body = std::move(body);
  return WithType(std::move(request), content_type);
}

absl::StatusOr<httplib::Request> ContentOf(const char* body, std::size_t length,
                                           const std::string& content_type) {
  return ContentOf(std::string(body, length), content_type);
}

absl::StatusOr<httplib::Request> ContentOf(std::size_t length, httplib::ContentProvider provider,
                                           const std::string& content_type) {
  httplib::Request request;
  request.content_length_ = length;
  request.content_provider_ = std::move(provider);
  return WithType(std::move(request), content_type);
}

absl::StatusOr<httplib::Request> ContentOf(httplib::ContentProviderWithoutLength provider,
                                           const std::string& content_type) {
  httplib::Request request;
  request.is_chunked_content_provider_ = true;
  request.content_provider_ = [provider = std::move(provider)](std::size_t offset, std::size_t,
                                                               httplib::DataSink& sink) {
    return provider(offset, sink);
  };
  return WithType(std::move(request), content_type);
}

absl::StatusOr<httplib::Request> ContentOf(const httplib::Params& params) {
  return ContentOf(QueryOf(params), "application/x-www-form-urlencoded");
}

}  // namespace internal

void HttplibClient::set_basic_auth(const std::string& username, const std::string& password) {
  authorization_.clear();
  if (username.empty() && password.empty()) return;
  authorization_ =
      absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(username, ":", password)));
}

void HttplibClient::set_bearer_token_auth(const std::string& token) {
  authorization_ = token.empty() ? "" : absl::StrCat("Bearer ", token);
}

httplib::Result HttplibClient::Get(const std::string& path, const httplib::Params& params,
                                   const httplib::Headers& headers,
                                   httplib::ResponseHandler on_head,
                                   httplib::ContentReceiver receiver, Progress progress) const {
  httplib::Request request;
  request.method = "GET";
  request.path = WithQuery(path, params);
  request.headers = headers;
  request.response_handler = std::move(on_head);
  if (receiver) {
    request.content_receiver = [receiver = std::move(receiver)](
                                   const char* data, std::size_t length, std::uint64_t,
                                   std::uint64_t) { return receiver(data, length); };
  }
  internal::SetDownloadProgress(request, std::move(progress));
  return Send(std::move(request));
}

httplib::Result HttplibClient::SendTo(const char* method, const std::string& path,
                                      const httplib::Headers& headers,
                                      absl::StatusOr<httplib::Request> content) const {
  if (!content.ok()) return Failed(content.status());
  content->method = method;
  content->path = path;
  const bool has_type = Has(content->headers, "Content-Type");
  for (const auto& [name, value] : headers) {
    if (has_type && absl::EqualsIgnoreCase(name, "Content-Type")) continue;
    content->headers.emplace(name, value);
  }
  return Send(*std::move(content));
}

httplib::Result HttplibClient::Send(httplib::Request request) const {
  request.path = EncodedPath(request.path);
  httplib::Headers missing;
  for (const auto& [name, value] : default_headers_) {
    if (!Has(request.headers, name)) missing.emplace(name, value);
  }
  for (const auto& [name, value] : missing) request.headers.emplace(name, value);
  if (!authorization_.empty() && !Has(request.headers, "Authorization")) {
    request.headers.emplace("Authorization", authorization_);
  }
  absl::StatusOr<httplib::Response> response = client_(request);
  if (!response.ok()) return Failed(response.status());
  return httplib::Result(std::make_unique<httplib::Response>(*std::move(response)),
                         httplib::Error::Success, std::move(request.headers));
}

}  // namespace holdfast::http
