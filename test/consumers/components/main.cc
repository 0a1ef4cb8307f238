#include <holdfast/holdfast.h>
#include <holdfast/http.h>
#include <holdfast/http/httplib.h>
#include <holdfast/testing.h>
#include <httplib.h>

int main() {
  holdfast::testing::FakeClock clock;
  httplib::Client nobody("127.0.0.1", 1);
  auto get = holdfast::Stack(holdfast::Retry({.max_attempts = 2}))
                 .Around([&nobody] { return nobody.Get("/"); }, &clock);
  const httplib::Result refused = get();
  return refused.error() == httplib::Error::Connection ? 0 : 1;
}
