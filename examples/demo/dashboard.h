// The page on which the demo can be watched.
#ifndef HOLDFAST_EXAMPLES_DEMO_DASHBOARD_H_
#define HOLDFAST_EXAMPLES_DEMO_DASHBOARD_H_

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "holdfast/metrics.h"
#include "holdfast/metrics_http.h"

namespace demo {

class Dashboard {
 public:
  // On loopback; port 0: a free one. Throws std::runtime_error where it can't be had.
  explicit Dashboard(int port);

  const std::string& url() const { return server_->url(); }

  // Shows a stack from now on. A copy is kept, since a registry forgets a stack that is gone.
  template <class S>
  void Show(const std::string& name, const S& stack) {
    metrics_.Add(name, stack).IgnoreError();  // the names are the demo's own
    kept_.push_back(std::make_shared<const S>(stack));
  }

  // Leaves the page open until then.
  static void WaitFor(const std::stop_token& stop);

 private:
  std::shared_ptr<holdfast::RecentEvents> events_ = std::make_shared<holdfast::RecentEvents>();
  holdfast::Metrics metrics_{{.service_name = "demo", .observer = events_}};
  std::vector<std::shared_ptr<const void>> kept_;
  std::unique_ptr<holdfast::MetricsServer> server_;
};

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_DASHBOARD_H_
