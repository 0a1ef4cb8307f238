// What the exchange makes of bytes without a socket.
#ifndef HOLDFAST_TEST_HTTP_EXCHANGE_WITHOUT_IO_H_
#define HOLDFAST_TEST_HTTP_EXCHANGE_WITHOUT_IO_H_

#include <string_view>

#include "holdfast/http/message.h"
#include "src/http/exchange/exchange.h"

namespace holdfast::test {

// What the exchange without I/O says of `bytes` and the end of the connection after them.
inline bool SucceedsWithoutIo(const http::Request& request, std::string_view bytes) {
  http::internal::Exchange exchange(request, {.upload = {.host = "h"}});
  while (exchange.wants_write()) {
    for (const std::string_view part : exchange.ToWrite()) exchange.Wrote(part.size());
  }
  exchange.Received(bytes);
  while (exchange.has_more()) exchange.TakeMore();
  exchange.PeerEnded();
  return exchange.TakeResult().ok();
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_EXCHANGE_WITHOUT_IO_H_
