#include "src/http/net/system_lookup.h"

#include <absl/strings/str_cat.h>
#include <netdb.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {

absl::StatusOr<std::vector<Address>> SystemLookup(const std::string& host) {
  // Without AI_ADDRCONFIG. It leaves out a family of which the machine has no address but that of
  // loopback, and so "::1" of /etc/hosts where only IPv4 goes out. What it saves costs little here:
  // RFC 6724 puts such addresses last, and to connect to one fails at once.
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;  // else each address comes once for each type
  addrinfo* found = nullptr;
  errno = 0;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return LookupErrorStatus(host, error, errno);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    auto address = Address::FromSockaddr(each->ai_addr, each->ai_addrlen);
    if (address) addresses.push_back(*address);
  }
  if (addresses.empty()) return LookupErrorStatus(host, EAI_NONAME, 0);
  return addresses;
}

absl::Status LookupErrorStatus(std::string_view host, int error, int system_error) {
  const absl::string_view name = holdfast::internal::ToAbsl(host);
  const std::string why = error == EAI_SYSTEM ? std::generic_category().message(system_error)
                                              : std::string(::gai_strerror(error));
  switch (error) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
      return absl::UnavailableError(absl::StrCat(name, ": the host was not found: ", why));
    case EAI_AGAIN:
      return absl::UnavailableError(
          absl::StrCat(name, ": the name can't be resolved at the moment: ", why));
    case EAI_MEMORY:
      break;
    case EAI_SYSTEM:
      if (system_error == EMFILE || system_error == ENFILE || system_error == ENOMEM ||
          system_error == ENOBUFS) {
        break;
      }
      [[fallthrough]];
    default:
      return absl::UnavailableError(absl::StrCat(name, ": the name can't be resolved: ", why));
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(name, ": this side can't resolve another name: ", why));
}

}  // namespace holdfast::http::internal
