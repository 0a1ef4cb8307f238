#ifndef HOLDFAST_TEST_HTTP_REAL_SERVER_CONFIGS_H_
#define HOLDFAST_TEST_HTTP_REAL_SERVER_CONFIGS_H_

// How each RealServer is configured: by what is written here alone, and nothing of what Debian
// configures.

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <string>

#include "test/http/real_server.h"

namespace holdfast::test {

// What /hello.txt has, where there are files; long enough to be worth packing.
inline const std::string kFile = std::string(5000, 'h') + "ello\n";

inline constexpr const char* kNginxConfig = R"(
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  default_type text/plain;
  gzip on;
  gzip_vary on;
  gzip_types text/plain;
  keepalive_requests @REQUESTS@;
  server {
    listen 127.0.0.1:@PORT@;
    root files;
    client_max_body_size 1m;
    location = /post { return 200 "taken"; }
    location = /limited { proxy_pass http://127.0.0.1:@UPSTREAM@; }
    location = / {
      proxy_pass http://127.0.0.1:@UPSTREAM@;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      client_max_body_size 0;
    }
  }
}
)";

struct NginxSettings {
  int keepalive_requests = 1000;
  int upstream = 1;  // the port that / and /limited are passed on to; a megabyte is the limit
};

inline RealServer Nginx(const NginxSettings& settings) {
  const std::string config =
      absl::StrReplaceAll(kNginxConfig, {{"@REQUESTS@", absl::StrCat(settings.keepalive_requests)},
                                         {"@UPSTREAM@", absl::StrCat(settings.upstream)}});
  return RealServer({"nginx", "-p", "@DIR@", "-e", "@DIR@/error.log", "-c", "@DIR@/nginx.conf"},
                    {{"files/hello.txt", kFile}, {"nginx.conf", config}});
}

inline constexpr const char* kHaproxyConfig = R"(
global
  maxconn 64
defaults
  mode http
  retries 0
  timeout connect 30s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:@PORT@
  default_backend back
backend back
  server only 127.0.0.1:@UPSTREAM@
)";

// Passes all on to that port.
inline RealServer Haproxy(int upstream) {
  const std::string config =
      absl::StrReplaceAll(kHaproxyConfig, {{"@UPSTREAM@", absl::StrCat(upstream)}});
  return RealServer({"haproxy", "-db", "-f", "@DIR@/haproxy.cfg"}, {{"haproxy.cfg", config}});
}

// It refuses to serve as root, and stays what it is where somebody else starts it.
inline constexpr const char* kApacheConfig = R"(
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User nobody
Group nogroup
ServerName localhost
Listen 127.0.0.1:@PORT@
PidFile apache.pid
DefaultRuntimeDir .
ErrorLog error.log
DocumentRoot files
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests @REQUESTS@
)";

// `max_keep_alive_requests`: over a connection after the first; 0: without limit.
inline RealServer Apache(int max_keep_alive_requests) {
  const std::string config =
      absl::StrReplaceAll(kApacheConfig, {{"@REQUESTS@", absl::StrCat(max_keep_alive_requests)}});
  return RealServer({"apache2", "-X", "-d", "@DIR@", "-f", "@DIR@/apache.conf"},
                    {{"files/hello.txt", kFile}, {"apache.conf", config}});
}

inline constexpr const char* kNodeScript = R"(
const crypto = require('crypto');
const server = require('http').createServer((request, response) => {
  const hash = crypto.createHash('sha256');
  let length = 0;
  request.on('data', (part) => { hash.update(part); length += part.length; });
  request.on('end', () => response.end(`${request.method} ${length} ${hash.digest('hex')}`));
});
server.keepAliveTimeout = @IDLE@;
server.maxRequestsPerSocket = @REQUESTS@;
server.listen(@PORT@, '127.0.0.1');
)";

struct NodeSettings {
  int keep_alive_timeout = 60'000;  // ms that a connection may be idle
  int max_requests_per_socket = 0;  // 0: without limit
};

// Answers with the method, the length of the body and its SHA-256.
inline RealServer Node(const NodeSettings& settings) {
  const std::string script = absl::StrReplaceAll(
      kNodeScript, {{"@IDLE@", absl::StrCat(settings.keep_alive_timeout)},
                    {"@REQUESTS@", absl::StrCat(settings.max_requests_per_socket)}});
  return RealServer({"node", "@DIR@/server.js"}, {{"server.js", script}});
}

inline RealServer Python() {
  return RealServer({"python3", "-m", "http.server", "@PORT@", "--bind", "127.0.0.1", "--directory",
                     "@DIR@/files"},
                    {{"files/hello.txt", kFile}});
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_REAL_SERVER_CONFIGS_H_
