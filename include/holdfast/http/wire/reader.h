// A reader makes events of the bytes of a connection: HTTP/1.1 without I/O (RFC 9112).
//
//   holdfast::http::wire::ResponseReader reader;
//   reader.Expect("GET");
//   std::string_view bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
//   using holdfast::http::wire::Event;
//   std::string body;
//   Event event = reader.Next(bytes);
//   for (; event == Event::kHead || event == Event::kBody; event = reader.Next(bytes)) {
//     if (event == Event::kBody) body += reader.body();
//   }
//   const bool complete = event == Event::kEnd;  // else kNeedMore or kFault
//
// It is strict: what two implementations could read in two ways is a fault. So a line ends with
// CR LF, no blank stands before a colon, no field is folded, at most one of Content-Length and
// Transfer-Encoding is there, and the latter is exactly "chunked".
#ifndef HOLDFAST_HTTP_WIRE_READER_H_
#define HOLDFAST_HTTP_WIRE_READER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/http/wire/internal/chunk_decoder.h"
#include "holdfast/http/wire/internal/field_block.h"
#include "holdfast/http/wire/message.h"

namespace holdfast::http::wire {

enum class Event : signed char {
  kNeedMore,  // all bytes are taken; the message goes on
  kHead,      // start line and fields are there
  kBody,      // so is a part of the body, which is not empty
  kEnd,       // the message is over
  kFault,     // it is refused, for good: nothing more can be read on the connection
};

// One message after the other. Bytes of a head are copied, into memory that is kept for the next
// one; bytes of a body are not. One thread at a time.
class Reader {
 public:
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  virtual ~Reader() = default;

  // Takes bytes from the front of `bytes` up to the next event. Bytes behind the end of a message
  // are left.
  Event Next(std::string_view& bytes);

  // The peer sends no more. kEnd: no message was begun, or its body ends so. kFault: it is cut.
  Event Close();

  // Since the last kHead, until Next is called after kEnd (for an interim response: after kHead).
  std::span<const Field> fields() const { return head_.fields(); }
  int minor_version() const { return minor_version_; }  // of HTTP/1: 0, or 1 for all others
  Framing framing() const { return framing_; }
  std::uint64_t length() const { return length_; }  // of kLength
  // Whether another message may follow on the connection, as far as this one says.
  bool keeps_alive() const { return keeps_alive_; }

  // Of the latest kBody, as long as the bytes given to Next live.
  std::string_view body() const { return body_; }
  // After kEnd. To be kept apart from the fields: a trailer may not change what a head said.
  std::span<const Field> trailers() const { return trailer_.fields(); }

  // Whether a byte of a message has come that is not over.
  bool begun() const {
    if (phase_ == Phase::kHead) return !head_.empty();
    return phase_ == Phase::kBody || phase_ == Phase::kTrailer;
  }
  // After kFault.
  const Fault& fault() const { return fault_; }

 protected:
  // Throws std::invalid_argument for limits that Validate refuses.
  explicit Reader(const Limits& limits);

  // False: refused.
  bool Refuse(int status, std::string_view text);
  bool SetVersion(std::string_view text);
  // What the fields say of the body, if they say anything; kNone otherwise.
  bool FrameByFields();
  void SetFraming(Framing framing) { framing_ = framing; }
  void SetKeepsAlive(bool keeps) { keeps_alive_ = keeps; }
  const Limits& limits() const { return limits_; }

 private:
  enum class Phase : signed char { kHead, kBody, kTrailer, kOver, kFault };

  // Judge a start line, as soon as it is there; what has come of one; and the whole head. False:
  // Refuse was called.
  virtual bool ReadStart(std::string_view line) = 0;
  virtual bool CanStart(std::string_view begin) = 0;
  virtual bool JudgeHead() = 0;
  virtual bool interim() const { return false; }
  virtual int empty_lines() const = 0;  // that may come before a start line

  void BeginMessage();
  Event ReadHead(std::string_view& bytes);
  Event ReadBody(std::string_view& bytes);
  Event ReadChunk(std::string_view& bytes);
  Event ReadTrailer(std::string_view& bytes);
  bool CheckCoding(std::string_view coding);
  Event End();
  Event Fail(const Fault& fault);

  const Limits limits_;
  Phase phase_ = Phase::kOver;
  FieldBlock head_;
  FieldBlock trailer_;
  ChunkDecoder chunks_;
  int minor_version_ = 1;
  Framing framing_ = Framing::kNone;
  bool keeps_alive_ = true;
  std::uint64_t length_ = 0;
  // Of a body with a length; the room in one that ends with the connection.
  std::uint64_t left_ = 0;
  std::string_view body_;
  Fault fault_;
};

// Reads requests, one after the other (pipelining). Up to two empty lines before one are skipped.
class RequestReader final : public Reader {
 public:
  explicit RequestReader(const Limits& limits = {}) : Reader(limits) {}

  // Since kHead.
  std::string_view method() const { return method_; }
  // As it was sent: a path, an absolute URL, "*" (OPTIONS) or an authority (CONNECT).
  std::string_view target() const { return target_; }

 private:
  bool ReadStart(std::string_view line) override;
  bool CanStart(std::string_view begin) override;
  bool JudgeHead() override;
  int empty_lines() const override { return 2; }
  bool CheckTarget();
  bool CheckHost();

  std::string method_;
  std::string target_;
};

// Reads the responses to one request after the other. Interim ones (1xx but 101) give kHead and no
// kEnd: the next kHead is of the next response to the same request.
class ResponseReader final : public Reader {
 public:
  explicit ResponseReader(const Limits& limits = {}) : Reader(limits) {}

  // Before the response to a request of that method: a response to HEAD has no body, whatever it
  // says, and one to CONNECT may begin a tunnel.
  void Expect(std::string_view method);

  // Since kHead.
  int status() const { return status_; }  // 100 to 999
  std::string_view reason() const { return reason_; }
  bool interim() const override { return status_ >= 100 && status_ < 200 && status_ != 101; }

 private:
  bool ReadStart(std::string_view line) override;
  bool CanStart(std::string_view begin) override;
  bool JudgeHead() override;
  int empty_lines() const override { return 0; }

  bool to_head_ = false;
  bool to_connect_ = false;
  int status_ = 0;
  std::string reason_;
};

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_HTTP_WIRE_READER_H_
