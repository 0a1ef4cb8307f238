// One connection to a server of metrics: requests come, one response at a time goes.
#ifndef HOLDFAST_SRC_METRICS_HTTP_SERVER_CONNECTION_H_
#define HOLDFAST_SRC_METRICS_HTTP_SERVER_CONNECTION_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/http/wire/reader.h"
#include "src/http/net/interest.h"
#include "src/http/net/tcp_stream.h"
#include "src/metrics_http/server_response.h"

namespace holdfast::internal {

// What a connection reads at a time, and so what it holds of requests that are not answered yet.
inline constexpr std::size_t kReadAtOnce = 4096;

// It is moved on when its socket is ready or its deadline has passed, and never blocks. While a
// response is written nothing is read, so a client that sends many requests at once gets one
// response after the other, and what it has sent stays in the kernel's buffer, which is bounded.
class ServerConnection {
 public:
  struct Times {
    Duration read;   // for a request
    Duration write;  // for a response, and for what a stream is given
  };
  using Answer = std::function<ServerResponse(const http::wire::RequestReader&)>;

  ServerConnection(http::internal::Descriptor socket, std::size_t max_request, Times times,
                   TimePoint now);

  int descriptor() const { return stream_.descriptor(); }
  http::internal::Interest interest() const;
  TimePoint deadline() const { return deadline_; }
  // It has bytes of a further request, which no socket tells of.
  bool has_buffered() const { return state_ == State::kReading && begin_ < end_; }

  bool closed() const { return state_ == State::kClosed; }
  bool streams() const { return state_ == State::kStreaming || (writes() && becomes_stream_); }
  bool writes() const { return state_ == State::kWriting; }
  // It could make room for another one: it waits for a request, or for the farewell of its client.
  bool replaceable() const { return state_ == State::kReading || state_ == State::kLingering; }
  TimePoint since() const { return since_; }  // when it began to

  // Answers at most one request.
  void Advance(TimePoint now, http::internal::Interest ready, const Answer& answer);
  // If its time has passed: answers what was begun to be asked, and else closes.
  void Expire(TimePoint now);

  // For one that streams: what is to be written next. If the last text is not on its way yet, this
  // one is left out.
  void Offer(const SharedText& text, TimePoint now);
  // No more is read, and no stream goes on.
  void Stop();
  void Close() { state_ = State::kClosed; }

 private:
  enum class State : signed char {
    kReading,    // a request
    kWriting,    // a response
    kStreaming,  // as long as the client listens
    kLingering,  // all is written; what comes is dropped, so that the response is not lost with it
    kClosed,
  };

  struct Kind {
    bool to_head = false;  // it answers HEAD
    bool close = false;    // after it
  };

  bool FillBuffer();
  void Read(TimePoint now, const Answer& answer);
  void Respond(ServerResponse response, Kind kind, TimePoint now);
  void Write(TimePoint now);
  void Written(TimePoint now);
  void DropInput();
  void WaitForRequest(TimePoint now);

  const Times times_;
  http::internal::TcpStream stream_;
  http::wire::RequestReader reader_;
  State state_ = State::kReading;
  TimePoint since_;
  TimePoint deadline_;

  std::string input_;  // kReadAtOnce bytes, of which [begin_, end_) are to be read
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  std::string head_;
  SharedText body_;
  std::size_t written_ = 0;  // of head_ and then body_
  bool closes_ = false;      // after the response
  bool becomes_stream_ = false;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_SERVER_CONNECTION_H_
