// Where a Transport's requests go.
#ifndef HOLDFAST_SRC_HTTP_ORIGIN_H_
#define HOLDFAST_SRC_HTTP_ORIGIN_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace holdfast::http::internal {

struct Origin {
  bool tls = false;
  std::string host = {};  // an IPv6 address without its brackets
  int port = 0;
  std::string host_header = {};  // of the requests: without the scheme's own port
  std::string url = {};          // to show
};

// kInvalidArgument says what is wrong with which URL, without a password in it.
absl::StatusOr<Origin> ParseOrigin(std::string_view url);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ORIGIN_H_
