#include "src/http/net/connector.h"

#include <absl/status/status.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test/http/descriptors.h"
#include "test/http/net/listeners.h"
#include "test/support/catch.h"
#include "test/support/sanitizers.h"
#include "test/support/threads.h"

namespace holdfast::http::internal::connector_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::internal::ReadClock;
using test::ContainsSubstring;
using test::Eventually;
using test::Listening;
using test::Loopback;
using test::Refusing;
using test::Silent;

const StopSignal kNoStop;

// A host with these addresses, of which nobody remembers anything.
class Host {
 public:
  explicit Host(const std::vector<std::string>& literals)
      : resolver_({.lookup = [known = known_](const std::string&) -> LookupResult {
          known->resolved = true;
          return known->addresses;
        }}) {
    for (const std::string& literal : literals) known_->addresses.push_back(Loopback(literal));
    options.resolver = &resolver_;
    options.bad_addresses = &bad_;
  }

  absl::StatusOr<Connected> Connect(int port, TimePoint deadline = TimePoint::max(),
                                    const StopSignal& stop = kNoStop) const {
    return internal::Connect("host", port, options, deadline, stop);
  }
  // Where it leads, or why it does not.
  std::string Try(int port, TimePoint deadline = TimePoint::max()) const {
    const auto connected = Connect(port, deadline);
    return connected.ok() ? connected->address.ToString() : connected.status().ToString();
  }

  bool resolved() const { return known_->resolved; }
  bool IsBad(const Address& address) const {
    std::vector<Address> order = {address, Loopback("127.9.9.9", 1)};
    bad_.MoveBehind(order, ReadClock(nullptr));
    return order.back() == address;
  }

  ConnectOptions options;

 private:
  // A thread of the resolver may use it after the resolver is gone.
  struct Known {
    std::vector<Address> addresses;
    std::atomic<bool> resolved = false;
  };

  const std::shared_ptr<Known> known_ = std::make_shared<Known>();
  BadAddresses bad_;
  const Resolver resolver_;
};

std::string Shown(int port, const std::string& host = "127.0.0.1") {
  return host + ":" + std::to_string(port);
}

int Option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket, level, name, &value, &size);
  return value;
}

TEST_CASE("it connects by IPv4 and IPv6, to literals and to names") {
  const Listening ipv4(Loopback("127.0.0.1"));
  const auto literal = Connect("127.0.0.1", ipv4.port(), {}, TimePoint::max(), kNoStop);
  REQUIRE(literal.ok());
  CHECK(PeerAddress(literal->socket.get()) == ipv4.address());
  CHECK(literal->address == ipv4.address());
  CHECK_FALSE(literal->listed);
  CHECK(Host({"127.0.0.1"}).Try(ipv4.port()) == Shown(ipv4.port()));
  const auto local = Connect("LocalHost", ipv4.port(), {}, TimePoint::max(), kNoStop);
  REQUIRE(local.ok());
  CHECK(local->address == ipv4.address());

  if (!test::HasIpv6()) return;
  const Listening ipv6(Loopback("::1"));
  CHECK(Connect("::1", ipv6.port(), {}, TimePoint::max(), kNoStop).ok());
  CHECK(Host({"::1"}).Try(ipv6.port()) == Shown(ipv6.port(), "[::1]"));
}

TEST_CASE("a socket does not block, is closed on exec and sends at once") {
  const Listening server(Loopback("127.0.0.1"));
  Host host({"127.0.0.1"});
  const auto plain = host.Connect(server.port());
  REQUIRE(plain.ok());
  const int socket = plain->socket.get();
  CHECK((::fcntl(socket, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(socket, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(Option(socket, IPPROTO_TCP, TCP_NODELAY) != 0);
  CHECK(Option(socket, SOL_SOCKET, SO_KEEPALIVE) == 0);

  host.options.socket.keep_alive = TcpKeepAlive{.idle = 30500ms, .interval = 7s, .count = 3};
  const auto kept = host.Connect(server.port());
  REQUIRE(kept.ok());
  CHECK(Option(kept->socket.get(), SOL_SOCKET, SO_KEEPALIVE) != 0);
  CHECK(Option(kept->socket.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 31);
  CHECK(Option(kept->socket.get(), IPPROTO_TCP, TCP_KEEPINTVL) == 7);
  CHECK(Option(kept->socket.get(), IPPROTO_TCP, TCP_KEEPCNT) == 3);
}

TEST_CASE("a first address that says nothing costs a quarter of a second, and only once") {
  const Silent silent(Loopback("127.0.0.1"));
  const auto answers = test::At<Listening>("127.0.0.2", silent);
  if (!answers) return;
  const Host host({"127.0.0.1", "127.0.0.2"});
  CHECK(host.Try(silent.port()) == Shown(silent.port(), "127.0.0.2"));
  CHECK(host.IsBad(silent.address()));
  // Alone it is still tried, and once it answers it is as good as others.
  silent.Answer();
  CHECK(Host({"127.0.0.1"}).Try(silent.port()) == Shown(silent.port()));
  CHECK(host.Try(silent.port()) == Shown(silent.port(), "127.0.0.2"));
}

TEST_CASE("a family that says nothing does not keep the other from connecting") {
  if (!test::HasIpv6()) return;
  const Silent ipv6(Loopback("::1"));
  const auto ipv4 = test::At<Listening>("127.0.0.1", ipv6);
  if (!ipv4) return;
  CHECK(Host({"::1", "127.0.0.1"}).Try(ipv6.port()) == Shown(ipv6.port()));
  const Listening answers(Loopback("::1"));
  const auto silent = test::At<Silent>("127.0.0.1", answers);
  if (!silent) return;
  CHECK(Host({"127.0.0.1", "::1"}).Try(answers.port()) == Shown(answers.port(), "[::1]"));
}

TEST_CASE("a refusal leads to the next address, and is told if there is none") {
  const Refusing refuses(Loopback("127.0.0.1"));
  const int port = refuses.port();
  const auto alone = Connect("127.0.0.1", port, {}, TimePoint::max(), kNoStop);
  CHECK(alone.status().ToString() ==
        "UNAVAILABLE: " + Shown(port) + ": the connection was refused");
  CHECK(Host({"127.0.0.1"}).Try(port) == "UNAVAILABLE: host:" + std::to_string(port) +
                                             " (127.0.0.1:" + std::to_string(port) +
                                             "): the connection was refused");
  const auto answers = test::At<Listening>("127.0.0.2", refuses);
  if (!answers) return;
  const Host host({"127.0.0.1", "127.0.0.2"});
  CHECK(host.Try(port) == Shown(port, "127.0.0.2"));
  CHECK(host.IsBad(refuses.address()));
  CHECK_FALSE(host.IsBad(answers->address()));
  const auto other = test::At<Refusing>("127.0.0.3", refuses);
  if (!other) return;
  CHECK_THAT(Host({"127.0.0.1", "127.0.0.3"}).Try(port),
             ContainsSubstring(" and 1 other): the connection was refused"));
}

TEST_CASE("at its deadline it says who gave no answer") {
  const Silent silent(Loopback("127.0.0.1"));
  const std::string port = std::to_string(silent.port());
  Host host({"127.0.0.1"});
  host.options.race.delay = 1h;
  CHECK(host.Try(silent.port(), ReadClock(nullptr) + 500ms) ==
        "UNAVAILABLE: host:" + port + ": not connected in time: no answer from 127.0.0.1:" + port);
  CHECK_FALSE(host.IsBad(silent.address()));  // it had less time than a bad one has
  host.options.race.delay = 1ms;
  CHECK_FALSE(host.Connect(silent.port(), ReadClock(nullptr) + 500ms).ok());
  CHECK(host.IsBad(silent.address()));
  CHECK_THAT(Host({"127.0.0.1"}).Try(silent.port(), TimePoint::min()),
             ContainsSubstring("in time"));
}

TEST_CASE("a stop ends it while it connects") {
  const Silent silent(Loopback("127.0.0.1"));
  const int before = test::OpenDescriptors();
  {
    const Host host({"127.0.0.1", "127.0.0.1"});
    std::stop_source source;
    const StopSignal stop(source.get_token());
    const std::jthread stopper([&] {
      while (!host.resolved()) std::this_thread::yield();
      source.request_stop();
    });
    const auto stopped = host.Connect(silent.port(), TimePoint::max(), stop);
    CHECK(stopped.status().code() == absl::StatusCode::kCancelled);
    CHECK(host.Connect(silent.port(), TimePoint::max(), stop).status().code() ==
          absl::StatusCode::kCancelled);
  }
  CHECK(test::OpenDescriptors() == before);
}

// Lets the process have that many descriptors more than it has, and all it had before afterwards.
class Descriptors {
 public:
  explicit Descriptors(int more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    // All numbers below the first that is free are taken, so that of those below the limit `more`
    // are free, and may be more above, which don't count.
    std::vector<Descriptor> taken;
    do {
      taken.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      first_ = first_ < 0 ? taken.back().get() : first_;
    } while (static_cast<int>(taken.size()) <= more);
    const rlimit limit = {.rlim_cur = static_cast<rlim_t>(taken.back().get()),
                          .rlim_max = before_.rlim_max};
    taken.clear();
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  Descriptors(const Descriptors&) = delete;
  ~Descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  // The first that was free is a socket now.
  bool first_is_socket() const {
    struct stat status = {};
    return ::fstat(first_, &status) == 0 && S_ISSOCK(status.st_mode);
  }

 private:
  rlimit before_ = {};
  int first_ = -1;
};

// Does something in a thread once there is a socket where Descriptors left room for one. The thread
// is there before: UndefinedBehaviorSanitizer needs descriptors when one starts.
class WhenConnecting {
 public:
  explicit WhenConnecting(std::function<void()> what)
      : thread_([this, what = std::move(what)] {
          begun_ = true;
          while (watched_ == nullptr) std::this_thread::yield();
          while (!watched_.load()->first_is_socket()) std::this_thread::yield();
          what();
        }) {
    while (!begun_) std::this_thread::yield();
  }
  void Watch(const Descriptors& descriptors) { watched_ = &descriptors; }
  void Join() { thread_.join(); }

 private:
  std::atomic<bool> begun_ = false;
  std::atomic<const Descriptors*> watched_ = nullptr;
  std::jthread thread_;
};

#if !HOLDFAST_NEEDS_DESCRIPTORS
TEST_CASE("without a descriptor it says so") {
  const Listening server(Loopback("127.0.0.1"));
  const Host host({"127.0.0.1"});
  std::optional<Descriptors> none(std::in_place, 0);
  const auto literal = Connect("127.0.0.1", server.port(), {}, TimePoint::max(), kNoStop);
  const std::string name = host.Try(server.port());
  none.reset();
  CHECK(literal.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(literal.status().message()), ContainsSubstring("Too many open files"));
  CHECK_THAT(name, ContainsSubstring("RESOURCE_EXHAUSTED"));
  CHECK(host.Try(server.port()) == Shown(server.port()));
}

TEST_CASE("without a descriptor for a second attempt the first may still connect") {
  const Silent silent(Loopback("127.0.0.1"));
  Host host({"127.0.0.1", "127.0.0.2"});
  host.options.race.delay = 1ms;
  WhenConnecting opener([&] { silent.Answer(); });
  std::optional<Descriptors> one(std::in_place, 1);
  opener.Watch(*one);
  const auto connected = host.Connect(silent.port());
  opener.Join();
  one.reset();
  REQUIRE(connected.ok());
  CHECK(connected->address == silent.address());
}

TEST_CASE("without a descriptor for a second attempt it is made when the first has failed") {
  std::optional<Silent> silent(Loopback("127.0.0.1"));
  const int port = silent->port();
  const auto answers = test::At<Listening>("127.0.0.2", *silent);
  if (!answers) return;
  Host host({"127.0.0.1", "127.0.0.2"});
  host.options.race.delay = 1ms;
  // From then on it is refused, which frees no descriptor that this process may use.
  const int kept = ::dup(silent->get());
  WhenConnecting closer([&] { ::shutdown(kept, SHUT_RDWR); });
  std::optional<Descriptors> one(std::in_place, 1);
  closer.Watch(*one);
  const auto connected = host.Connect(port);
  closer.Join();
  one.reset();
  ::close(kept);
  REQUIRE(connected.ok());
  CHECK(connected->address == answers->address());
}
#endif

TEST_CASE("it connects from the local address that it is given") {
  const Listening server(Loopback("127.0.0.1"));
  Host host({"::1", "127.0.0.1"});
  host.options.socket.local_address = Loopback("127.0.0.5");
  const auto connected = host.Connect(server.port());
  REQUIRE(connected.ok());
  CHECK(LocalAddress(connected->socket.get())->WithPort(0) == Loopback("127.0.0.5"));

  host.options.socket.local_address = Loopback("203.0.113.77");
  const auto foreign = host.Connect(server.port());
  CHECK(foreign.status().code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(foreign.status().message()),
             ContainsSubstring("can't connect from 203.0.113.77:0: Cannot assign"));

  const Refusing taken(Loopback("127.0.0.6"));
  host.options.socket.local_address = taken.address();
  CHECK(host.Connect(server.port()).status().code() == absl::StatusCode::kResourceExhausted);

  Host ipv6({"::1"});
  ipv6.options.socket.local_address = Loopback("127.0.0.5");
  CHECK_THAT(ipv6.Try(server.port()), ContainsSubstring("no address of the host is of the family"));
}

TEST_CASE("a connection to itself is a refusal") {
  int port = 0;
  {
    port = Refusing(Loopback("127.0.0.1")).port();
  }
  Host host({"127.0.0.1"});
  host.options.socket.local_address = Loopback("127.0.0.1", port);
  const auto connected = host.Connect(port);
  CHECK_FALSE(connected.ok());
  CHECK_THAT(std::string(connected.status().message()), ContainsSubstring("refused"));
}

// A folder of its own, for paths of sockets.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "holdfast.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string TryUnix(const std::string& path, TimePoint deadline = TimePoint::max()) {
  const auto connected = Connect("ignored", 80, {.unix_path = path}, deadline, kNoStop);
  return connected.ok() ? connected->address.ToString() : connected.status().ToString();
}

TEST_CASE("it connects to unix sockets, by a path or an abstract name") {
  const Folder folder;
  const std::string path = folder / "socket";
  const Listening server(*Address::Unix(path));
  CHECK(TryUnix(path) == "unix:" + path);
  const std::string name = "@holdfast-test-" + std::to_string(::getpid());
  const Listening abstract(*Address::Unix(name));
  CHECK(TryUnix(name) == "unix:" + name);

  const std::string missing = folder / "missing";
  CHECK(TryUnix(missing) ==
        "UNAVAILABLE: unix:" + missing + ": can't connect: No such file or directory");
  const std::string closed = folder / "closed";
  const Refusing refuses(*Address::Unix(closed));
  CHECK(TryUnix(closed) == "UNAVAILABLE: unix:" + closed + ": the connection was refused");
}

TEST_CASE("it waits for room in the backlog of a unix socket") {
  const Folder folder;
  const std::string path = folder / "socket";
  const Silent silent(*Address::Unix(path));
  CHECK(TryUnix(path, ReadClock(nullptr) + 20ms) ==
        "UNAVAILABLE: unix:" + path + ": not connected in time");
  std::stop_source source;
  const StopSignal stop(source.get_token());
  std::jthread stopper([&] { source.request_stop(); });
  CHECK(Connect("", 0, {.unix_path = path}, TimePoint::max(), stop).status().code() ==
        absl::StatusCode::kCancelled);
  std::jthread opener([&] { silent.Answer(); });
  CHECK(TryUnix(path) == "unix:" + path);
}

TEST_CASE("what can't be right is refused") {
  const auto code = [](const ConnectOptions& options) {
    return Connect("127.0.0.1", 1, options, TimePoint::max(), kNoStop).status().code();
  };
  CHECK(Validate(ConnectOptions()).ok());
  CHECK(Validate(ConnectOptions{.socket = {.keep_alive = TcpKeepAlive()}}).ok());
  for (const TcpKeepAlive& wrong :
       {TcpKeepAlive{.idle = 999ms}, TcpKeepAlive{.idle = 32768s}, TcpKeepAlive{.interval = 0s},
        TcpKeepAlive{.interval = Duration::max()}, TcpKeepAlive{.count = 0},
        TcpKeepAlive{.count = 128}}) {
    CHECK(code({.socket = {.keep_alive = wrong}}) == absl::StatusCode::kInvalidArgument);
  }
  CHECK(code({.unix_path = std::string(108, 'x')}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({.socket = {.local_address = *Address::Unix("@x")}}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code({.socket = {.local_address = Address()}}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({.unix_path = "@x", .socket = {.local_address = Loopback("127.0.0.1")}}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(Connect("::zz", 80, {}, TimePoint::max(), kNoStop).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(Connect("127.0.0.1", 65536, {}, TimePoint::max(), kNoStop).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a list of sockets has those that were made") {
  const Listening server(Loopback("127.0.0.1"));
  SocketList list;
  Host host({"127.0.0.1"});
  host.options.sockets = &list;
  auto connected = host.Connect(server.port());
  REQUIRE(connected.ok());
  CHECK(connected->listed);
  list.CloseCopies();  // as a child of fork() does
  CHECK(::fcntl(connected->socket.get(), F_GETFD) == -1);
  (void)connected->socket.Release();
}

TEST_CASE("many threads connect at once, whatever their addresses do, and leak nothing") {
  const Silent silent(Loopback("127.0.0.1"));
  const auto refuses = test::At<Refusing>("127.0.0.2", silent);
  const auto answers = test::At<Listening>("127.0.0.3", silent);
  if (!refuses || !answers) return;
  answers->SetBacklog(1000);
  const int before = test::OpenDescriptors();
  {
    Host host({"127.0.0.1", "127.0.0.2", "127.0.0.3"});
    host.options.race.delay = 5ms;
    std::atomic<int> wrong = 0;
    test::InThreads(8, [&](int) {
      for (int i = 0; i < 20; ++i) wrong += host.Connect(silent.port()).ok() ? 0 : 1;
    });
    CHECK(wrong == 0);
  }
  CHECK(test::OpenDescriptors() == before);
}

}  // namespace
}  // namespace holdfast::http::internal::connector_test
