#include <utility>

#include "holdfast/http/httplib.h"
#include "src/http/multipart_form.h"

namespace holdfast::http {

absl::Status SetMultipart(httplib::Request& request, const std::vector<FormItem>& items) {
  auto form = internal::MakeForm(items);
  if (!form.ok()) return form.status();
  request.body = std::move(form->body);
  request.content_provider_ = nullptr;
  request.is_chunked_content_provider_ = false;
  request.content_length_ = 0;
  for (const char* const header : internal::kReplacedByForm) request.headers.erase(header);
  request.headers.emplace("Content-Type", std::move(form->content_type));
  return absl::OkStatus();
}

}  // namespace holdfast::http
