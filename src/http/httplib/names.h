// What has different names in different releases of cpp-httplib.
//
// Each function asks by `requires` which name its argument has. The number of the release can't be
// asked instead: CPPHTTPLIB_VERSION_NUM is a string in some releases and missing in others.
#ifndef HOLDFAST_SRC_HTTP_HTTPLIB_NAMES_H_
#define HOLDFAST_SRC_HTTP_HTTPLIB_NAMES_H_

#include <cstddef>
#include <string>
#include <utility>

namespace holdfast::http::internal {

// Sets whether the client percent-encodes paths: set_url_encode until 0.22, then set_path_encode.
template <class Client>
void SetPathEncode(Client& client, bool on) {
  if constexpr (requires { client.set_path_encode(on); }) {
    client.set_path_encode(on);
  } else {
    client.set_url_encode(on);
  }
}

// The value number `index` of a result's request header; empty where there is none. Since 0.17 the
// second argument of cpp-httplib's function is a default value.
template <class Result>
std::string RequestHeaderOf(const Result& result, const char* name, std::size_t index = 0) {
  if constexpr (requires { result.get_request_header_value(name, "", index); }) {
    return result.get_request_header_value(name, "", index);
  } else {
    return result.get_request_header_value(name, index);
  }
}

// Whether the request has parts of a parsed form, which only servers have: `files` until 0.22, then
// `form.fields` and `form.files`.
template <class Request>
bool HasForm(const Request& request) {
  if constexpr (requires { request.files.empty(); }) {
    return !request.files.empty();
  } else {
    return !request.form.fields.empty() || !request.form.files.empty();
  }
}

// Whether the request has a callback that reports progress: `progress` until 0.22, then one for
// each direction.
template <class Request>
bool HasProgress(const Request& request) {
  if constexpr (requires { bool(request.progress); }) {
    return bool(request.progress);
  } else {
    return bool(request.download_progress) || bool(request.upload_progress);
  }
}

// Has `progress` report that of the response.
template <class Request, class Progress>
void SetDownloadProgress(Request& request, Progress progress) {
  if constexpr (requires { request.progress; }) {
    request.progress = std::move(progress);
  } else {
    request.download_progress = std::move(progress);
  }
}

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_HTTPLIB_NAMES_H_
