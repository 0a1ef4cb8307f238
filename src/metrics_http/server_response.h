// What a server of metrics answers.
#ifndef HOLDFAST_SRC_METRICS_HTTP_SERVER_RESPONSE_H_
#define HOLDFAST_SRC_METRICS_HTTP_SERVER_RESPONSE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/wire/message.h"

namespace holdfast::internal {

using SharedText = std::shared_ptr<const std::string>;

struct ServerResponse {
  int status = 200;
  std::string_view type = "text/plain; charset=utf-8";
  SharedText body = nullptr;  // null: none
  // Beside what each response has. The views last.
  std::vector<http::wire::Field> fields = {};
  bool stream = false;  // the body goes on until the connection ends
};

// A body of one sentence.
ServerResponse SentenceResponse(int status, std::string_view sentence);

// The bytes of its head. `close`: the connection ends after it.
std::string HeadOf(const ServerResponse& response, bool to_head, bool close);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_SERVER_RESPONSE_H_
