// The user and the password that a URL names, as HTTP sends them.
#ifndef HOLDFAST_SRC_HTTP_BASIC_CREDENTIALS_H_
#define HOLDFAST_SRC_HTTP_BASIC_CREDENTIALS_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace holdfast::http::internal {

// Of what a URL has in front of its '@', "user[:password]" with percent-encoding (RFC 3986, 3.2.1),
// the value of a header Proxy-Authorization (RFC 7617, 2). kInvalidArgument says what is wrong and
// shows nothing of either.
absl::StatusOr<std::string> BasicCredentials(std::string_view user_info);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_BASIC_CREDENTIALS_H_
