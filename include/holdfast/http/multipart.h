// A form with fields and files as the body of a request (multipart/form-data, RFC 7578).
//
//   const std::vector<holdfast::http::FormItem> items = {
//       {.name = "title", .content = "Holiday"},
//       {.name = "photo", .content = "...", .filename = "sea.jpg", .content_type = "image/jpeg"},
//   };
//   absl::Status status = holdfast::http::SetMultipart(request, items);
//   if (status.ok()) transport(request);
#ifndef HOLDFAST_HTTP_MULTIPART_H_
#define HOLDFAST_HTTP_MULTIPART_H_

#include <absl/status/status.h>

#include <string_view>
#include <vector>

#include "holdfast/http/message.h"

namespace holdfast::http {

// A field or a file of a form. SetMultipart copies what the views refer to.
struct FormItem {
  std::string_view name;
  std::string_view content;
  std::string_view filename = {};      // empty: the item is a field and has no filename
  std::string_view content_type = {};  // empty: none is sent
};

// Replaces the body, its sender and the Content-Type of `request` by a form of `items`.
//
// The body is built once, so every attempt sends the same bytes. The boundary is random and occurs
// in no item. CR, LF and quotes in names are percent-encoded (HTML, multipart/form-data encoding
// algorithm).
//
// Returns kInvalidArgument, and leaves the request unchanged, if there are no items, or if a name,
// a filename or a content_type has a control character that cannot be sent.
absl::Status SetMultipart(Request& request, const std::vector<FormItem>& items);

namespace internal {

template <class Items>
std::vector<FormItem> FormItemsOf(const Items& items) {
  std::vector<FormItem> views;
  for (const auto& item : items) {
    views.push_back({item.name, item.content, item.filename, item.content_type});
  }
  return views;
}

}  // namespace internal

// The same for a range of any type with the four members of FormItem.
template <class Items>
absl::Status SetMultipart(Request& request, const Items& items) {
  return SetMultipart(request, internal::FormItemsOf(items));
}

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_MULTIPART_H_
