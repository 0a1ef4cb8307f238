// The proxy that the environment of this process names.
#ifndef HOLDFAST_SRC_HTTP_PROXY_ENVIRONMENT_H_
#define HOLDFAST_SRC_HTTP_PROXY_ENVIRONMENT_H_

#include <string>

namespace holdfast::http::internal {

struct ProxySetting {
  std::string url = {};       // empty: there is no proxy
  std::string variable = {};  // that has it
  std::string no_proxy = {};
};

// As TransportOptions::proxy_from_environment says; `tls` is the origin's.
ProxySetting ProxyFromEnvironment(bool tls);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_PROXY_ENVIRONMENT_H_
