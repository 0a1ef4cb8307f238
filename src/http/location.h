// Where a redirect leads to (RFC 3986, 5.2; RFC 9110, 10.2.2).
#ifndef HOLDFAST_SRC_HTTP_LOCATION_H_
#define HOLDFAST_SRC_HTTP_LOCATION_H_

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::http::internal {

struct Url {
  std::string origin;  // as OriginText makes it; empty: unknown
  std::string target;  // "/path?query"
};

// scheme://host[:port] in lower case, without the scheme's own port: two origins are the same if
// these are. Empty for what is no origin.
std::string OriginText(std::string_view url);

// Of a request to that origin. "*" is "/".
Url UrlOf(std::string_view origin, std::string_view target);

// What the value of a Location means beside `base`, without its fragment. nullopt for what is not
// to be followed: see FollowRedirects (redirect.h).
std::optional<Url> Resolve(const Url& base, std::string_view reference);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_LOCATION_H_
