// Headers are the fields of an HTTP message, in their order.
//
//   holdfast::http::Headers headers = {{"Accept", "text/html"}, {"Cookie", "a=1"}};
//   headers.Add("Cookie", "b=2");
//   const std::optional<std::string_view> first = headers.Find("cookie");  // "a=1"
#ifndef HOLDFAST_HTTP_HEADERS_H_
#define HOLDFAST_HTTP_HEADERS_H_

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::http {

struct Header {
  std::string name;
  std::string value;
};

// Names are equal whatever the case of their ASCII letters (RFC 9110, 5.1); they are kept as they
// are given. Nothing is checked here: a request with a name or a value that is none is refused when
// it is sent. Thread-compatible, as a std::vector.
class Headers {
 public:
  using const_iterator = std::vector<Header>::const_iterator;

  Headers() = default;
  Headers(std::initializer_list<Header> headers) : all_(headers) {}

  // Behind the others, of the same name as well.
  void Add(std::string name, std::string value);
  // In the place of the first of that name, whose others go; behind all if there is none.
  void Set(std::string name, std::string value);
  // All of that name. Returns how many there were.
  std::size_t Remove(std::string_view name);

  // The value of the first of that name, as long as this object is not changed; nullopt: none.
  std::optional<std::string_view> Find(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name).has_value(); }
  std::size_t Count(std::string_view name) const;

  const_iterator begin() const { return all_.begin(); }
  const_iterator end() const { return all_.end(); }
  std::size_t size() const { return all_.size(); }
  bool empty() const { return all_.empty(); }
  void Reserve(std::size_t size) { all_.reserve(size); }

  // The same names, whatever their case, with the same values in the same order.
  friend bool operator==(const Headers& a, const Headers& b);

 private:
  std::vector<Header> all_;
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_HEADERS_H_
