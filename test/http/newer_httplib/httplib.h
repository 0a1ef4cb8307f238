// What the adapter uses of cpp-httplib, with the spelling of 0.53: compiled against, never linked.
#ifndef HOLDFAST_TEST_HTTP_NEWER_HTTPLIB_HTTPLIB_H_
#define HOLDFAST_TEST_HTTP_NEWER_HTTPLIB_HTTPLIB_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// NOLINTBEGIN(readability-identifier-naming): the names are that library's.
namespace httplib {

namespace detail {
struct IgnoringCase {};
struct ObeyingCase {};

// In the order of insertion since 0.5x; a std::multimap before.
template <class Equal>
class Multimap {
 public:
  using value_type = std::pair<std::string, std::string>;
  using const_iterator = std::vector<value_type>::const_iterator;

  const_iterator begin() const;
  const_iterator end() const;
  const_iterator find(const std::string& name) const;
  std::size_t size() const;
  bool empty() const;
  void emplace(std::string name, std::string value);
  std::size_t erase(const std::string& name);

 private:
  std::vector<value_type> all_;
};
}  // namespace detail

using Headers = detail::Multimap<detail::IgnoringCase>;
using Params = detail::Multimap<detail::ObeyingCase>;

class DataSink {
 public:
  std::function<bool(const char* data, std::size_t size)> write;
  std::function<bool()> is_writable;
  std::function<void()> done;
  std::function<void(const Headers& trailer)> done_with_trailer;
};

struct Response;
using ContentProvider = std::function<bool(std::size_t, std::size_t, DataSink&)>;
using ContentProviderWithoutLength = std::function<bool(std::size_t, DataSink&)>;
using ContentReceiver = std::function<bool(const char*, std::size_t)>;
using ContentReceiverWithProgress =
    std::function<bool(const char*, std::size_t, std::size_t, std::size_t)>;
using ResponseHandler = std::function<bool(const Response&)>;
using DownloadProgress = std::function<bool(std::size_t, std::size_t)>;
using UploadProgress = std::function<bool(std::size_t, std::size_t)>;

struct MultipartFormData {
  Headers fields;
  Headers files;
};

struct UploadFormData {
  std::string name;
  std::string content;
  std::string filename;
  std::string content_type;
};
using UploadFormDataItems = std::vector<UploadFormData>;

struct Request {
  std::string method;
  std::string path;
  Params params;
  Headers headers;
  Headers trailers;
  std::string body;
  MultipartFormData form;
  ResponseHandler response_handler;
  ContentReceiverWithProgress content_receiver;
  DownloadProgress download_progress;
  UploadProgress upload_progress;

  std::string get_header_value(const std::string& name, const char* def = "",
                               std::size_t id = 0) const;

  // NOLINTBEGIN(readability-identifier-naming): theirs
  std::size_t content_length_ = 0;
  ContentProvider content_provider_;
  bool is_chunked_content_provider_ = false;
  // NOLINTEND(readability-identifier-naming)
};

struct Response {
  std::string version;
  int status = -1;
  std::string reason;
  Headers headers;
  Headers trailers;
  std::string body;
};

enum class Error {
  Success,
  Unknown,
  Connection,
  BindIPAddress,
  Read,
  Write,
  ExceedRedirectCount,
  Canceled,
  SSLConnection,
  SSLLoadingCerts,
  SSLServerVerification,
  SSLServerHostnameVerification,
  UnsupportedMultipartBoundaryChars,
  Compression,
  ConnectionTimeout,
  ProxyConnection,
  ConnectionClosed,
  Timeout,
};
std::string to_string(Error error);

class Result {
 public:
  Result(std::unique_ptr<Response>&& response, Error error, Headers&& request_headers = Headers{});
  operator bool() const;
  const Response& operator*() const;
  const Response* operator->() const;
  Error error() const;
  bool has_request_header(const std::string& name) const;
  std::string get_request_header_value(const std::string& name, const char* def = "",
                                       std::size_t id = 0) const;
  std::size_t get_request_header_value_count(const std::string& name) const;
};

}  // namespace httplib
// NOLINTEND(readability-identifier-naming)

#endif  // HOLDFAST_TEST_HTTP_NEWER_HTTPLIB_HTTPLIB_H_
