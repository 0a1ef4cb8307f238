#include "src/http/proxy_environment.h"

#include <cstdlib>
#include <initializer_list>

namespace holdfast::http::internal {
namespace {

struct Variable {
  std::string name = {};
  std::string value = {};
};

// The first of them that is set and not empty.
Variable FirstOf(std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const char* const value = ::secure_getenv(name);
    if (value != nullptr && *value != '\0') return {.name = name, .value = value};
  }
  return {};
}

}  // namespace

ProxySetting ProxyFromEnvironment(bool tls) {
  const Variable proxy = tls ? FirstOf({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                             : FirstOf({"http_proxy", "all_proxy", "ALL_PROXY"});
  if (proxy.value.empty()) return {};
  const bool whole = proxy.value.find("://") != std::string::npos;
  return {.url = whole ? proxy.value : "http://" + proxy.value,
          .variable = proxy.name,
          .no_proxy = FirstOf({"no_proxy", "NO_PROXY"}).value};
}

}  // namespace holdfast::http::internal
