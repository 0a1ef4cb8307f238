// The two clients that are compared.
#ifndef HOLDFAST_EXAMPLES_DEMO_CLIENTS_H_
#define HOLDFAST_EXAMPLES_DEMO_CLIENTS_H_

#include <httplib.h>

#include <stop_token>
#include <string>

#include "dashboard.h"
#include "holdfast/holdfast.h"
#include "load.h"
#include "options.h"
#include "stats.h"

namespace demo {

// An httplib::Client with keep-alive and timeouts: one connection, one try. It is for one worker;
// `recorder` must outlive it. Calls go through a stack without policies, which counts them.
Send PlainClient(const Url& url, const holdfast::Stack<>& counting, Recorder& recorder);

// What a stack has to know of the traffic.
struct Traffic {
  double rate = 0;                          // of the arrivals, per second
  holdfast::Duration attempt_timeout = {};  // for one attempt
};

// The same request through a stack, shared by all workers: the breaker, the limit and the bulkhead
// are only worth something if all calls go through the same ones. `recorder` must outlive it. The
// stack is shown on the dashboard, unless that is null.
Send ResilientClient(const Url& url, const Traffic& traffic, Recorder& recorder,
                     Dashboard* dashboard);

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_CLIENTS_H_
