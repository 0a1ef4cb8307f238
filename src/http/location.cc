#include "src/http/location.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <cstddef>

#include "holdfast/base/internal/string_view.h"
#include "src/http/origin.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

// Of a path that begins with "/" (RFC 3986, 5.2.4).
std::string WithoutDotSegments(std::string_view path) {
  std::string result;
  while (!path.empty()) {
    const std::size_t end = path.find('/', 1);
    const std::string_view segment = path.substr(0, end);
    const bool last = end == std::string_view::npos;
    if (segment == "/..") result.resize(result.empty() ? 0 : result.rfind('/'));
    if (segment != "/." && segment != "/..") {
      result += segment;
    } else if (last) {
      result += '/';
    }
    path = last ? std::string_view() : path.substr(end);
  }
  return result;
}

// Of a reference without scheme and authority.
std::string TargetOf(std::string_view base, std::string_view reference) {
  const std::string_view path = reference.substr(0, reference.find('?'));
  const std::string_view query = reference.substr(path.size());
  const std::string_view base_path = base.substr(0, base.find('?'));
  if (path.empty()) {
    const std::string_view kept = query.empty() ? base.substr(base_path.size()) : query;
    return absl::StrCat(ToAbsl(base_path), ToAbsl(kept));
  }
  std::string whole(path.starts_with('/') ? "" : base_path.substr(0, base_path.rfind('/') + 1));
  whole += path;
  return absl::StrCat(WithoutDotSegments(whole), ToAbsl(query));
}

// Of one that begins with a scheme.
std::optional<Url> UrlWithScheme(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (text.substr(colon + 1, 2) != "//") return std::nullopt;
  const std::string_view authority = text.substr(0, text.find_first_of("/?", colon + 3));
  // A port may be empty (RFC 3986, 3.2.3).
  std::string_view origin = authority;
  if (origin.ends_with(':') && origin.size() > colon + 3) origin.remove_suffix(1);
  // An IPv6 zone means something to the server alone.
  if (origin.find('%') != std::string_view::npos) return std::nullopt;
  Url url = {.origin = OriginText(origin), .target = TargetOf("/", text.substr(authority.size()))};
  if (url.origin.empty()) return std::nullopt;
  return url;
}

}  // namespace

std::string OriginText(std::string_view url) {
  const auto origin = ParseOrigin(url);
  return origin.ok() ? absl::AsciiStrToLower(origin->url) : std::string();
}

Url UrlOf(std::string_view origin, std::string_view target) {
  Url url = {.origin = std::string(origin), .target = "/"};
  if (target.starts_with('/')) {
    url.target = target;
  } else if (target != "*") {
    return Resolve(url, target).value_or(url);
  }
  return url;
}

std::optional<Url> Resolve(const Url& base, std::string_view reference) {
  if (!wire::OnlyOf(wire::Without(wire::kTargetBytes, '\\'), reference)) return std::nullopt;
  reference = reference.substr(0, reference.find('#'));
  const std::size_t delimiter = reference.find_first_of(":/?");
  std::string with_scheme;
  if (delimiter != std::string_view::npos && reference[delimiter] == ':') {
    with_scheme = reference;
  } else if (reference.starts_with("//")) {
    with_scheme = base.origin.substr(0, base.origin.find(':') + 1);
    with_scheme += reference;
  } else {
    return Url{.origin = base.origin, .target = TargetOf(base.target, reference)};
  }
  if (base.origin.empty()) return std::nullopt;
  return UrlWithScheme(with_scheme);
}

}  // namespace holdfast::http::internal
