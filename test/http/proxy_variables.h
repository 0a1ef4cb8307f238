#ifndef HOLDFAST_TEST_HTTP_PROXY_VARIABLES_H_
#define HOLDFAST_TEST_HTTP_PROXY_VARIABLES_H_

#include <array>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>

namespace holdfast::test {

// An environment without proxies, for as long as this lives; then it is as before. No other thread
// may read the environment meanwhile.
class ProxyVariables {
 public:
  ProxyVariables() {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (const char* const value = std::getenv(kNames[i])) before_[i] = value;
      ::unsetenv(kNames[i]);
    }
  }
  ProxyVariables(const ProxyVariables&) = delete;
  ProxyVariables& operator=(const ProxyVariables&) = delete;
  ~ProxyVariables() {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (before_[i]) {
        ::setenv(kNames[i], before_[i]->c_str(), 1);
      } else {
        ::unsetenv(kNames[i]);
      }
    }
  }

  // One of those that are restored.
  void Set(const std::string& name, const std::string& value) const {
    for (const std::string known : kNames) {
      if (name == known) return static_cast<void>(::setenv(name.c_str(), value.c_str(), 1));
    }
    std::abort();
  }

 private:
  static constexpr std::array<const char*, 8> kNames = {
      "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
      "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY",
  };

  std::array<std::optional<std::string>, kNames.size()> before_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_PROXY_VARIABLES_H_
