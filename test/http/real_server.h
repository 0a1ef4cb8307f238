#ifndef HOLDFAST_TEST_HTTP_REAL_SERVER_H_
#define HOLDFAST_TEST_HTTP_REAL_SERVER_H_

// The servers that people run, each as a process of its own.

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "test/http/fault_server.h"

namespace holdfast::test {

class RealServer {
 public:
  // Makes `files` in a directory of its own and runs `command` there, without a shell, as this
  // user. In both @DIR@ is the directory, and @PORT@ a port of loopback, which was free.
  RealServer(std::vector<std::string> command, std::map<std::string, std::string> files)
      : program_(Find(command.front())) {
    if (program_.empty()) return;
    std::string name = "/tmp/holdfast-server-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    ::chmod(directory_.c_str(), 0755);  // a server of root reads it as somebody else
    // Another process may take the port before the server does.
    for (int tries = 0; tries < 3 && port_ == 0; ++tries) Start(command, files);
  }
  RealServer(const RealServer&) = delete;
  RealServer& operator=(const RealServer&) = delete;
  ~RealServer() {
    End();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  // Whether there is such a server on this machine at all.
  bool installed() const { return !program_.empty(); }
  // 0 if it did not start; output() says why.
  int port() const { return port_; }
  std::string Url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  std::string output() const { return Read("output"); }

  // What is in a file of its directory.
  std::string Read(const std::string& file) const {
    std::ifstream stream(directory_ / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

 private:
  // Servers are where only root looks for programs.
  static std::string Find(const std::string& program) {
    const char* const path = std::getenv("PATH");
    const std::string places = absl::StrCat(path == nullptr ? "" : path, ":/usr/sbin:/usr/bin");
    for (const absl::string_view place : absl::StrSplit(places, ':', absl::SkipEmpty())) {
      std::string file = absl::StrCat(place, "/", program);
      if (::access(file.c_str(), X_OK) == 0) return file;
    }
    return "";
  }

  void Start(std::vector<std::string> command, const std::map<std::string, std::string>& files) {
    const std::string host = Listener(1).Host();
    const std::string port = host.substr(host.find(':') + 1);
    const auto filled = [&](const std::string& text) {
      return absl::StrReplaceAll(text, {{"@DIR@", directory_.string()}, {"@PORT@", port}});
    };
    for (const auto& [name, content] : files) {
      std::filesystem::create_directories((directory_ / name).parent_path());
      std::ofstream(directory_ / name, std::ios::binary) << filled(content);
    }
    command.front() = program_;
    for (std::string& word : command) word = filled(word);
    Spawn(std::move(command));
    if (process_ > 0 && Listens(std::stoi(port))) port_ = std::stoi(port);
    if (port_ == 0) End();
  }

  // In a group of its own, which ends with this object, or with this process.
  void Spawn(std::vector<std::string> command) {
    command.insert(command.begin(), {"setpriv", "--pdeathsig", "KILL"});
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string file = directory_ / "output";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, file.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (::posix_spawnp(&process_, "setpriv", &actions, &attributes, argv.data(), environ) != 0) {
      process_ = 0;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }

  // Waits for that. False: it has ended.
  bool Listens(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (;;) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const bool connected =
          ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      ::close(fd);
      if (::waitpid(process_, nullptr, WNOHANG) != 0) {
        process_ = 0;
        return false;
      }
      if (connected) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // nobody says when it listens
    }
  }

  void End() {
    if (process_ <= 0) return;
    ::kill(-process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }

  std::string program_;
  std::filesystem::path directory_;
  pid_t process_ = 0;
  int port_ = 0;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_REAL_SERVER_H_
