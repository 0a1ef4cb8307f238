// Why a connection can't be opened. cpp-httplib has one error for all of it and keeps no errno.
#ifndef HOLDFAST_SRC_HTTP_CONNECT_ERROR_H_
#define HOLDFAST_SRC_HTTP_CONNECT_ERROR_H_

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace holdfast::http::internal {

// Connects once more, for at most a tenth of a second and only to learn what goes wrong: the
// addresses and the error are known to nobody but cpp-httplib, and the place to ask is private
// there. One more SYN is what a failed connection costs. Never OK.
absl::Status DiagnoseConnect(const std::string& host, int port, std::string_view url);

absl::Status ConnectErrorStatus(int error, std::string_view url);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CONNECT_ERROR_H_
