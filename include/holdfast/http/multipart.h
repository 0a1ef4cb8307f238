// A form with fields and files as the body of a request (multipart/form-data, RFC 7578).
//
//   httplib::MultipartFormDataItems items = {
//       {.name = "title", .content = "Holiday"},
//       {.name = "photo", .content = "...", .filename = "sea.jpg", .content_type = "image/jpeg"},
//   };
//   absl::Status status = holdfast::http::SetMultipart(request, items);
//   if (status.ok()) transport(request);
#ifndef HOLDFAST_HTTP_MULTIPART_H_
#define HOLDFAST_HTTP_MULTIPART_H_

#include <absl/status/status.h>
#include <httplib.h>

#include <string_view>
#include <vector>

namespace holdfast::http {
namespace internal {

struct FormItem {
  std::string_view name;
  std::string_view content;
  std::string_view filename;
  std::string_view content_type;
};

absl::Status SetMultipart(httplib::Request& request, const std::vector<FormItem>& items);

}  // namespace internal

// Gives `request` a body, and a Content-Type, that say `items`, in place of what it has. `Items` is
// httplib::MultipartFormDataItems, or a range of anything with its four members, since later
// releases of cpp-httplib have another name for it.
//
// The body is made once, so that every attempt sends the same bytes, and the boundary is one that
// occurs in none of the items. An empty filename or content_type is left out. CR, LF and quotes in
// names are percent-encoded, as HTML has it (multipart/form-data encoding algorithm).
//
// kInvalidArgument, and the request as it was, for what can't be said: no items, a name or a
// content_type with another control character in it, or a content_type with a line break.
template <class Items>
absl::Status SetMultipart(httplib::Request& request, const Items& items) {
  std::vector<internal::FormItem> views;
  for (const auto& item : items) {
    views.push_back({item.name, item.content, item.filename, item.content_type});
  }
  return internal::SetMultipart(request, views);
}

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_MULTIPART_H_
