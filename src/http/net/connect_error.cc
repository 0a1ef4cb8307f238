#include "src/http/net/connect_error.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <system_error>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {

absl::Status ConnectErrorStatus(int error, std::string_view who) {
  const absl::string_view where = holdfast::internal::ToAbsl(who);
  const std::string why = std::generic_category().message(error);
  switch (error) {
    case ECONNREFUSED:
      return absl::UnavailableError(absl::StrCat(where, ": the connection was refused"));
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:
    case ENETDOWN:
    case EHOSTDOWN:
      return absl::UnavailableError(absl::StrCat(where, ": the host is unreachable: ", why));
    case EADDRNOTAVAIL:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return absl::ResourceExhaustedError(
          absl::StrCat(where, ": this side can't open another connection: ", why));
    default:
      return absl::UnavailableError(absl::StrCat(where, ": can't connect: ", why));
  }
}

}  // namespace holdfast::http::internal
