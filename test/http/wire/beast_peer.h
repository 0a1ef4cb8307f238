// Reads a message with Boost.Beast's basic_parser. Its headers take the compiler a long time: for
// one source.
#ifndef HOLDFAST_TEST_HTTP_WIRE_BEAST_PEER_H_
#define HOLDFAST_TEST_HTTP_WIRE_BEAST_PEER_H_

#include <absl/strings/str_cat.h>

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/http/wire/message.h"
#include "test/http/wire/peer.h"

namespace holdfast::http::wire {

namespace beast = boost::beast;

template <bool request>
class BeastPeer final : public beast::http::basic_parser<request> {
 public:
  BeastPeer(const Sent& sent, const Limits& limits) : sent_(sent) {
    this->header_limit(static_cast<std::uint32_t>(limits.head));
    this->body_limit(limits.body);
    this->eager(true);
    if (sent.response && sent.method == "HEAD") this->skip(true);
  }

  // Takes the message off the front of `rest`.
  Understood Read(std::string_view& rest) {
    beast::error_code error;
    while (!error && !this->is_done() && !rest.empty()) {
      rest.remove_prefix(this->put(boost::asio::buffer(rest.data(), rest.size()), error));
    }
    const bool need_more = error == beast::http::error::need_more;
    if (error && !need_more) return Refused(error);
    if (!this->is_done()) {
      if (!sent_.close || !this->is_header_done()) return {};
      error = {};
      this->put_eof(error);
      if (error || !this->is_done()) return {};
    }
    message_.end = Understood::End::kComplete;
    message_.keeps_alive = this->keep_alive() && !tunnel_;
    return message_;
  }
  bool interim() const { return interim_; }

 private:
  using View = beast::string_view;
  using Error = beast::error_code;

  static Understood Refused(const Error& error) {
    return {.end = Understood::End::kRefused, .why = error.message()};
  }
  static std::string Of(View text) { return {text.data(), text.size()}; }

  void on_request_impl(beast::http::verb /*verb*/, View method, View target, int version,
                       Error& /*error*/) override {
    message_.start = Of(method) + " " + Of(target);
    message_.minor_version = version % 10;
  }
  // That a response to CONNECT has no body is for the caller to know.
  void on_response_impl(int code, View reason, int version, Error& /*error*/) override {
    message_.start = absl::StrCat(code, " ", Of(reason));
    message_.minor_version = version % 10;
    tunnel_ = code == 101 || (sent_.method == "CONNECT" && code / 100 == 2);
    interim_ = code / 100 == 1 && code != 101;
    if (tunnel_) this->skip(true);
  }
  void on_field_impl(beast::http::field /*field*/, View name, View value,
                     Error& /*error*/) override {
    absl::StrAppend(in_trailer_ ? &message_.trailers : &message_.fields, " [", Of(name), "=",
                    Of(value), "]");
  }
  void on_header_impl(Error& /*error*/) override { in_trailer_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/,
                         Error& /*error*/) override {}
  std::size_t on_body_impl(View body, Error& /*error*/) override {
    message_.body += Of(body);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t /*size*/, View /*extensions*/,
                            Error& /*error*/) override {}
  std::size_t on_chunk_body_impl(std::uint64_t /*left*/, View body, Error& error) override {
    return on_body_impl(body, error);
  }
  void on_finish_impl(Error& /*error*/) override {}

  const Sent sent_;
  Understood message_;
  bool in_trailer_ = false;
  bool tunnel_ = false;
  bool interim_ = false;
};

inline Understood ReadByBeast(const Sent& sent, const Limits& limits = {}) {
  std::string_view rest = sent.bytes;
  Understood message;
  for (bool interim = true; interim;) {
    if (sent.response) {
      BeastPeer<false> peer(sent, limits);
      message = peer.Read(rest);
      interim = peer.interim() && message.end == Understood::End::kComplete;
    } else {
      BeastPeer<true> peer(sent, limits);
      message = peer.Read(rest);
      interim = false;
    }
  }
  message.length = sent.bytes.size() - rest.size();
  return message;
}

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_TEST_HTTP_WIRE_BEAST_PEER_H_
