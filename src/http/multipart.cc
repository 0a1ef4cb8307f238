#include "holdfast/http/multipart.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <string>
#include <utility>

#include "holdfast/base/internal/random.h"
#include "holdfast/base/internal/string_view.h"
#include "src/http/multipart_form.h"

namespace holdfast::http {
namespace {

using holdfast::internal::ToAbsl;

// A header may contain a tab (RFC 9110, 5.5).
bool IsControl(unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; }

bool HasControl(std::string_view text) { return std::any_of(text.begin(), text.end(), IsControl); }

std::string Escaped(std::string_view name) {
  return absl::StrReplaceAll(ToAbsl(name), {{"\r", "%0D"}, {"\n", "%0A"}, {"\"", "%22"}});
}

std::string Problem(const std::vector<FormItem>& items) {
  if (items.empty()) return "there are no items";
  for (const FormItem& item : items) {
    if (HasControl(Escaped(item.name)) || HasControl(Escaped(item.filename)) ||
        HasControl(item.content_type)) {
      return absl::StrCat("the item \"", absl::CHexEscape(ToAbsl(item.name)),
                          "\" has a control character in its name, filename or content_type");
    }
  }
  return "";
}

// Random, so that nobody can write a file that contains every boundary.
std::string ChooseBoundary(const std::vector<FormItem>& items) {
  for (;;) {
    const std::string boundary =
        absl::StrCat("holdfast-", absl::Hex(holdfast::internal::RandomSeed(), absl::kZeroPad16));
    const auto free = [&](std::string_view text) {
      return text.find(boundary) == std::string_view::npos;
    };
    if (std::all_of(items.begin(), items.end(), [&](const FormItem& item) {
          return free(item.name) && free(item.content) && free(item.filename) &&
                 free(item.content_type);
        })) {
      return boundary;
    }
  }
}

}  // namespace

namespace internal {

absl::StatusOr<Form> MakeForm(const std::vector<FormItem>& items) {
  if (const std::string wrong = Problem(items); !wrong.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("SetMultipart: ", wrong));
  }
  const std::string boundary = ChooseBoundary(items);
  std::string body;
  for (const FormItem& item : items) {
    absl::StrAppend(&body, "--", boundary, "\r\nContent-Disposition: form-data; name=\"",
                    Escaped(item.name), "\"");
    if (!item.filename.empty()) {
      absl::StrAppend(&body, "; filename=\"", Escaped(item.filename), "\"");
    }
    if (!item.content_type.empty()) {
      absl::StrAppend(&body, "\r\nContent-Type: ", ToAbsl(item.content_type));
    }
    absl::StrAppend(&body, "\r\n\r\n", ToAbsl(item.content), "\r\n");
  }
  absl::StrAppend(&body, "--", boundary, "--\r\n");

  return Form{.content_type = absl::StrCat("multipart/form-data; boundary=", boundary),
              .body = std::move(body)};
}

}  // namespace internal

absl::Status SetMultipart(Request& request, const std::vector<FormItem>& items) {
  auto form = internal::MakeForm(items);
  if (!form.ok()) return form.status();
  request.body = std::move(form->body);
  request.sender = nullptr;
  request.sender_length.reset();
  request.trailers = nullptr;
  for (const std::string_view header : internal::kReplacedByForm) request.headers.Remove(header);
  request.headers.Add("Content-Type", std::move(form->content_type));
  return absl::OkStatus();
}

}  // namespace holdfast::http
