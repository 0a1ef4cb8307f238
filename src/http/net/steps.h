// What a driver has to do next for a protocol that reads and writes at once: without a clock and
// without I/O, so that a blocking and an asynchronous driver decide alike.
#ifndef HOLDFAST_SRC_HTTP_NET_STEPS_H_
#define HOLDFAST_SRC_HTTP_NET_STEPS_H_

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "holdfast/base/time.h"
#include "src/http/net/pace.h"
#include "src/http/net/stream.h"

namespace holdfast::http::internal {

// A protocol as a driver sees it. One thread at a time. Its methods may throw; the driver lets that
// through, and the connection is then of no use.
class Duplex {
 public:
  // Nothing more is to be moved. Only Wrote may follow, of a write that was under way.
  virtual bool done() const = 0;

  // Whether ToWrite has something now, or will ask whoever has the rest; that may take long.
  virtual bool wants_write() const = 0;
  // One sequence of bytes in parts, of which the next call gives the same but for those written;
  // empty: the protocol is done, or no longer wants to write, or, if it does, whoever has the rest
  // has nothing now and is to be asked again. The views are good until the next call of it or of
  // Wrote; it is not called while they are being written.
  virtual std::span<const std::string_view> ToWrite() = 0;
  virtual void Wrote(std::size_t bytes) = 0;  // from the front
  // Nothing more can be written. What the peer had sent before it closed may still come.
  virtual void WriteFailed(std::string_view why) = 0;

  virtual void Received(std::string_view bytes) = 0;  // not empty
  // Whether not all that was received is taken in. TakeMore takes in more of it, which may take
  // long, or none (false); meanwhile nothing is read.
  virtual bool has_more() const { return false; }
  virtual bool TakeMore() { return true; }
  // Whether whoever takes it in takes nothing now, so that TakeMore is to be called after a pause.
  virtual bool held() const { return false; }
  // Nothing more comes: the peer has said so (kEnd), or the connection is lost (kLost), which also
  // means that nothing more can be written.
  virtual void PeerEnded() = 0;
  virtual void PeerCut(std::string_view why) = 0;

  // Whether a body is held back until SendBody, which is called after DriveLimits's
  // continue_timeout unless the peer has asked for the body before.
  virtual bool holds_body() const { return false; }
  virtual void SendBody() {}

 protected:
  ~Duplex() = default;
};

// Before a protocol is asked again that had nothing to write, or took nothing in.
inline constexpr Duration kAskAgainAfter = std::chrono::milliseconds(1);

// The time before that.
class AskingPause {
 public:
  bool on() const { return on_; }
  void Begin() { on_ = true; }
  // It begins with the first Look after the call that came to nothing, and ends with the first that
  // is late enough.
  void Look(TimePoint now) {
    if (on_ && until_ == TimePoint::max()) {
      until_ = SaturatingAdd(now, kAskAgainAfter);
    } else if (on_ && now >= until_) {
      *this = {};
    }
  }
  TimePoint until() const { return until_; }  // max: there is none, or it has not been looked at

 private:
  bool on_ = false;
  TimePoint until_ = TimePoint::max();
};

// What has the methods of a Duplex, of which those that do something here are optional.
template <class P>
concept DuplexProtocol =
    requires(P& protocol, const P& same, std::string_view text, std::size_t size) {
      { same.done() } -> std::convertible_to<bool>;
      { same.wants_write() } -> std::convertible_to<bool>;
      { protocol.ToWrite() } -> std::convertible_to<std::span<const std::string_view>>;
      protocol.Wrote(size);
      protocol.WriteFailed(text);
      protocol.Received(text);
      protocol.PeerEnded();
      protocol.PeerCut(text);
    };

template <DuplexProtocol P>
class DuplexOf final : public Duplex {
 public:
  // `protocol` must outlive it.
  explicit DuplexOf(P& protocol) : protocol_(protocol) {}

  bool done() const override { return protocol_.done(); }
  bool wants_write() const override { return protocol_.wants_write(); }
  std::span<const std::string_view> ToWrite() override { return protocol_.ToWrite(); }
  void Wrote(std::size_t bytes) override { protocol_.Wrote(bytes); }
  void WriteFailed(std::string_view why) override { protocol_.WriteFailed(why); }
  void Received(std::string_view bytes) override { protocol_.Received(bytes); }
  bool has_more() const override {
    if constexpr (requires { protocol_.has_more(); }) {
      return protocol_.has_more();
    } else {
      return false;
    }
  }
  bool TakeMore() override {
    if constexpr (requires { protocol_.TakeMore(); }) {
      return protocol_.TakeMore();
    } else {
      return true;
    }
  }
  bool held() const override {
    if constexpr (requires { protocol_.held(); }) {
      return protocol_.held();
    } else {
      return false;
    }
  }
  void PeerEnded() override { protocol_.PeerEnded(); }
  void PeerCut(std::string_view why) override { protocol_.PeerCut(why); }
  bool holds_body() const override {
    if constexpr (requires { protocol_.holds_body(); }) {
      return protocol_.holds_body();
    } else {
      return false;
    }
  }
  void SendBody() override {
    if constexpr (requires { protocol_.SendBody(); }) protocol_.SendBody();
  }

 private:
  P& protocol_;
};

// Tells a protocol what happened, and its driver what to do: Look; if that does not end it, write
// while wants_write(), read while reads(), and Look again after each of it and at until().
class Steps {
 public:
  // `protocol` must outlive it.
  Steps(Duplex& protocol, const DriveLimits& limits)
      : protocol_(protocol), limits_(limits), pace_(limits) {}

  // Why the exchange is over, if it is. The first one begins the first step. `now` is read after
  // what happened was told, so that the time that a protocol takes is not its peer's.
  std::optional<DriveEnd> Look(TimePoint now);
  bool done() const { return protocol_.done(); }

  // Whether it is time for SendBody, after Look.
  bool body_due(TimePoint now) const { return now >= body_at_; }
  void SendBody();

  // Not during the pause after nothing was there to be written.
  bool wants_write() const {
    return can_write_ && !in_flight_ && !asking_.on() && protocol_.wants_write();
  }
  // What is to be written. Unless it is empty, Wrote is to be called when that has ended, and how;
  // the bytes are good until then.
  std::span<const std::string_view> BeginWrite();
  void Wrote(const IoResult& result);

  bool reads() const { return can_read_ && !protocol_.has_more(); }
  void Read(const IoResult& result, std::string_view bytes);

  // Comes before a read, a write and a wait. Not during the pause after not all was taken.
  bool takes_more() const { return !taking_.on() && protocol_.has_more(); }
  void TakeMore();

  // When to Look again though nothing was moved.
  TimePoint until() const {
    return std::min({pace_.until(), body_at_, asking_.until(), taking_.until()});
  }
  // errno with which the connection was first seen to be lost; 0: it was not, or TLS was.
  int error() const { return error_; }

 private:
  void NoteLost(int error) {
    if (error_ == 0) error_ = error;
  }

  Duplex& protocol_;
  const DriveLimits limits_;
  Pace pace_;
  TimePoint body_at_ = TimePoint::max();  // when SendBody is called; max: nothing is held back
  bool can_write_ = true;                 // as far as the connection goes
  bool can_read_ = true;
  bool in_flight_ = false;  // between BeginWrite and Wrote
  bool waited_ = false;     // the latest write could not begin
  bool stalled_ = false;    // the latest ToWrite had nothing though more is to come
  AskingPause asking_;      // what is to be written
  AskingPause taking_;      // what has come
  bool begins_ = true;      // a step, with the next Look
  int error_ = 0;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_STEPS_H_
