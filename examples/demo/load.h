// Open-loop load: requests arrive at a rate whether the ones before them are answered or not.
#ifndef HOLDFAST_EXAMPLES_DEMO_LOAD_H_
#define HOLDFAST_EXAMPLES_DEMO_LOAD_H_

#include <functional>
#include <stop_token>
#include <string>

#include "options.h"
#include "stats.h"

namespace demo {

// Makes one request, which was due then; says what went wrong, or nothing. A stop request ends it
// soon.
using Send = std::function<std::string(holdfast::TimePoint due, const std::stop_token&)>;

// When all requests will have arrived.
holdfast::Duration Span(const Options& options);

// Sends them all from options.concurrency threads, with a Send of its own for each, and returns
// when they are answered or `stop` is requested. A request that arrives while all threads are busy
// waits for one, and that counts: its latency is measured from its arrival.
void RunLoad(const Options& options, const std::function<Send()>& make_send, Recorder& recorder,
             const std::stop_token& stop);

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_LOAD_H_
