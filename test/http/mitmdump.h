#ifndef HOLDFAST_TEST_HTTP_MITMDUMP_H_
#define HOLDFAST_TEST_HTTP_MITMDUMP_H_

// A mitmdump of mitmproxy as a process of its own, between a client and a server.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace holdfast::test {

class Mitmdump {
 public:
  // With the script of the examples, set as `settings` say: {"fail=first", "count=2"}. A host whose
  // certificate nobody vouches for will do for it.
  explicit Mitmdump(const std::vector<std::string>& settings) {
    std::array<char, 32> name{"/tmp/holdfast-mitm-XXXXXX"};
    directory_ = ::mkdtemp(name.data());
    const std::filesystem::path top = HOLDFAST_SOURCE_DIR;
    const std::string breaks = top / "examples/mitmproxy/break.py";
    const std::string counts = top / "test/http/count_requests.py";
    std::vector<std::string> arguments = {"mitmdump",  "-p",
                                          "0",         "--listen-host",
                                          "127.0.0.1", "-s",
                                          breaks,      "-s",
                                          counts,      "--ssl-insecure",
                                          "--set",     "confdir=" + directory_.string(),
                                          "--set",     "counted=" + CountFile()};
    for (const std::string& setting : settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    Spawn(arguments);
    if (process_ > 0) ReadPort();
  }
  Mitmdump(const Mitmdump&) = delete;
  Mitmdump& operator=(const Mitmdump&) = delete;
  ~Mitmdump() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      ::close(output_);
    }
    std::filesystem::remove_all(directory_);
  }

  // Whether there is a mitmdump on this machine at all.
  bool installed() const { return process_ > 0; }
  // 0 if it did not start; `output` says why.
  int port() const { return port_; }
  const std::string& output() const { return text_; }

  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Which it signs for every host by.
  std::string CaFile() const { return directory_ / "mitmproxy-ca-cert.pem"; }
  // That it passed on.
  std::uintmax_t requests() const {
    return std::filesystem::exists(CountFile()) ? std::filesystem::file_size(CountFile()) : 0;
  }

 private:
  std::string CountFile() const { return directory_ / "counted"; }

  void Spawn(std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::string unbuffered = "PYTHONUNBUFFERED=1";
    std::vector<char*> environment = {unbuffered.data()};
    for (char** variable = environ; *variable != nullptr; ++variable) {
      environment.push_back(*variable);
    }
    environment.push_back(nullptr);

    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
    if (::posix_spawnp(&process_, "mitmdump", &actions, nullptr, argv.data(), environment.data()) !=
        0) {
      process_ = 0;
    }
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    output_ = pipe[0];
    if (process_ == 0) ::close(output_);
  }

  // Which it says once it listens.
  void ReadPort() {
    char byte = 0;
    while (::read(output_, &byte, 1) == 1) {
      text_ += byte;
      const auto said = text_.find("listening at ");
      if (byte != '\n' || said == std::string::npos) continue;
      port_ = std::stoi(text_.substr(text_.rfind(':') + 1));
      return;
    }
  }

  std::filesystem::path directory_;
  pid_t process_ = 0;
  int output_ = -1;
  int port_ = 0;
  std::string text_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_MITMDUMP_H_
