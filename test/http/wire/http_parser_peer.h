// Reads a message with http-parser, the parser that Node had; version 2.9.4 in Debian 12.
#ifndef HOLDFAST_TEST_HTTP_WIRE_HTTP_PARSER_PEER_H_
#define HOLDFAST_TEST_HTTP_WIRE_HTTP_PARSER_PEER_H_

#include <absl/strings/str_cat.h>
#include <http_parser.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "test/http/wire/peer.h"

namespace holdfast::http::wire {

class HttpParserPeer {
 public:
  explicit HttpParserPeer(const Sent& sent) : sent_(sent) {
    http_parser_init(&parser_, sent.response ? HTTP_RESPONSE : HTTP_REQUEST);
    parser_.data = this;
    http_parser_settings_init(&settings_);
    settings_.on_message_begin = [](http_parser* parser) { return Of(parser).Begin(); };
    settings_.on_url = Append<&HttpParserPeer::target_>;
    settings_.on_status = Append<&HttpParserPeer::reason_>;
    settings_.on_header_field = [](http_parser* parser, const char* text, std::size_t size) {
      return Of(parser).Name({text, size});
    };
    settings_.on_header_value = [](http_parser* parser, const char* text, std::size_t size) {
      return Of(parser).Value({text, size});
    };
    settings_.on_headers_complete = [](http_parser* parser) { return Of(parser).Head(); };
    settings_.on_body = Append<&HttpParserPeer::body_>;
    settings_.on_message_complete = [](http_parser* parser) { return Of(parser).Complete(); };
  }
  HttpParserPeer(const HttpParserPeer&) = delete;
  HttpParserPeer& operator=(const HttpParserPeer&) = delete;

  Understood Read() {
    std::string_view rest = sent_.bytes;
    while (!rest.empty() && !failed() && !complete_) Execute(rest);
    if (!failed() && !complete_ && sent_.close && !sent_.bytes.empty()) Execute(rest);
    if (HTTP_PARSER_ERRNO(&parser_) == HPE_INVALID_EOF_STATE) return {};
    if (failed()) {
      return {.end = Understood::End::kRefused,
              .why = http_errno_description(HTTP_PARSER_ERRNO(&parser_))};
    }
    if (!complete_) return {};
    return Message(sent_.bytes.size() - rest.size());
  }

 private:
  static HttpParserPeer& Of(http_parser* parser) {
    return *static_cast<HttpParserPeer*>(parser->data);
  }

  template <std::string HttpParserPeer::* text>
  static int Append(http_parser* parser, const char* part, std::size_t size) {
    (Of(parser).*text).append(part, size);
    return 0;
  }

  bool failed() const { return HTTP_PARSER_ERRNO(&parser_) != HPE_OK; }
  bool interim() const {
    return sent_.response && parser_.status_code / 100 == 1 && parser_.status_code != 101;
  }

  // No bytes: the connection ends. The parser pauses behind each message.
  void Execute(std::string_view& rest) {
    rest.remove_prefix(http_parser_execute(&parser_, &settings_, rest.data(), rest.size()));
    if (HTTP_PARSER_ERRNO(&parser_) == HPE_PAUSED) http_parser_pause(&parser_, 0);
  }

  int Begin() {
    for (std::string* text : {&target_, &reason_, &block_, &fields_, &body_, &name_, &value_}) {
      text->clear();
    }
    in_value_ = false;
    return 0;
  }
  int Name(std::string_view part) {
    if (in_value_) EndField();
    name_ += part;
    return 0;
  }
  int Value(std::string_view part) {
    in_value_ = true;
    value_ += part;
    return 0;
  }
  // It leaves blanks at a value's end, which are no part of it (RFC 9110, 5.5).
  void EndField() {
    if (!in_value_) return;
    const std::size_t end = value_.find_last_not_of(" \t");
    value_.resize(end == std::string::npos ? 0 : end + 1);
    absl::StrAppend(&block_, " [", name_, "=", value_, "]");
    name_.clear();
    value_.clear();
    in_value_ = false;
  }
  // 1: no body comes; 2: nor another message (a tunnel).
  int Head() {
    EndField();
    fields_.swap(block_);
    if (!sent_.response) return 0;
    if (sent_.method == "CONNECT" && parser_.status_code / 100 == 2) return 2;
    return sent_.method == "HEAD" ? 1 : 0;
  }
  int Complete() {
    EndField();
    complete_ = !interim();
    keeps_alive_ = http_should_keep_alive(&parser_) != 0;
    http_parser_pause(&parser_, 1);
    return 0;
  }

  Understood Message(std::size_t length) {
    const auto* method = http_method_str(static_cast<http_method>(parser_.method));
    const bool tunnel =
        sent_.response && (parser_.status_code == 101 ||
                           (sent_.method == "CONNECT" && parser_.status_code / 100 == 2));
    return {.end = Understood::End::kComplete,
            .why = {},
            .start = sent_.response ? absl::StrCat(parser_.status_code, " ", reason_)
                                    : absl::StrCat(method, " ", target_),
            .minor_version = std::min<int>(parser_.http_minor, 1),
            .fields = fields_,
            .body = body_,
            .trailers = block_,
            .keeps_alive = keeps_alive_ && !tunnel,
            .length = length};
  }

  const Sent sent_;
  http_parser parser_{};
  http_parser_settings settings_{};
  bool complete_ = false;
  bool keeps_alive_ = true;
  std::string target_;
  std::string reason_;
  std::string name_;
  std::string value_;
  bool in_value_ = false;
  std::string block_;  // the fields of the head or the trailer, up to here
  std::string fields_;
  std::string body_;
};

inline Understood ReadByHttpParser(const Sent& sent) { return HttpParserPeer(sent).Read(); }

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_TEST_HTTP_WIRE_HTTP_PARSER_PEER_H_
