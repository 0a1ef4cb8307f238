// A form (multipart/form-data) as bytes.
#ifndef HOLDFAST_SRC_HTTP_MULTIPART_FORM_H_
#define HOLDFAST_SRC_HTTP_MULTIPART_FORM_H_

#include <absl/status/statusor.h>

#include <array>
#include <string>
#include <vector>

#include "holdfast/http/multipart.h"

namespace holdfast::http::internal {

// The headers of a request that a form takes the place of.
inline constexpr std::array<const char*, 3> kReplacedByForm = {"Content-Type", "Content-Length",
                                                               "Transfer-Encoding"};

struct Form {
  std::string content_type;
  std::string body;
};

// kInvalidArgument for what SetMultipart refuses.
absl::StatusOr<Form> MakeForm(const std::vector<FormItem>& items);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_MULTIPART_FORM_H_
