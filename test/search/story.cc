#include "test/search/story.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <array>

#include "test/search/judge.h"
#include "test/search/trial.h"

namespace holdfast::search {
namespace {

std::string ServerText(const Scenario& scenario) {
  const Service& service = scenario.service;
  const std::array<const char*, 4> spreads = {"exponential", "constant", "log-normal", "bimodal"};
  const std::array<const char*, 4> disciplines = {"FIFO", "LIFO", "random", "CoDel"};
  return absl::StrCat(
      "// service: ", service.servers, " server(s) of ", scenario.workers(), " worker(s), ",
      spreads.at(static_cast<std::size_t>(service.spread)), " ", DurationCode(service.time),
      ", load ", absl::StrFormat("%.2f", scenario.clients.rate / scenario.capacity()), ", queue ",
      service.max_queue, " ", disciplines.at(static_cast<std::size_t>(service.discipline)),
      service.drops_cancelled ? ", drops what nobody waits for" : "", "\n");
}

std::string ClientsText(const Clients& clients) {
  std::string text =
      absl::StrCat("// clients: ", clients.rate, " calls/s, ",
                   clients.closed == 0 ? "open" : absl::StrCat(clients.closed, " closed"));
  if (clients.patience != Duration::max()) {
    absl::StrAppend(&text, ", each with a deadline of ", DurationCode(clients.patience));
  }
  if (clients.processes > 1) absl::StrAppend(&text, ", ", clients.processes, " processes");
  if (clients.keys > 1) absl::StrAppend(&text, ", ", clients.keys, " keys");
  if (clients.priorities) absl::StrAppend(&text, ", with priorities");
  return text + "\n";
}

std::string FaultText(const Scenario& scenario) {
  const Fault& fault = scenario.fault;
  std::string text = "// fault: ";
  if (fault.kind == FaultKind::kSlow) {
    absl::StrAppend(&text, fault.factor, " times slower");
  } else {
    absl::StrAppend(&text, fault.share * 100, "% ",
                    fault.kind == FaultKind::kDown ? "fail at once" : "hang");
  }
  if (fault.one_server && scenario.service.servers > 1) absl::StrAppend(&text, " at one server");
  return absl::StrCat(text, ", for ", DurationCode(fault.length), "\n");
}

std::string GoodputText(Scenario& scenario) {
  const Schedule schedule = ScheduleOf(scenario);
  const Duration end = schedule.end() + std::chrono::seconds(60);
  const Timeline without = Run(SetupOf(scenario, scenario.seed, nullptr, {}), scenario.seed, end);
  const Timeline with = Run(SetupOf(scenario, scenario.seed, &scenario.fault, schedule.fault_from),
                            scenario.seed, end);
  constexpr int kColumns = 24;
  std::string text = absl::StrFormat(
      "// fault %.1f s to %.1f s; back at %.1f s at the latest\n//      s  without     with\n",
      static_cast<double>(schedule.fault_from.count()) * 1e-9,
      static_cast<double>(schedule.fault_to.count()) * 1e-9,
      static_cast<double>(schedule.settled().count()) * 1e-9);
  for (int i = 0; i < kColumns; ++i) {
    const Duration from = end / kColumns * i;
    const Duration to = from + end / kColumns;
    const double seconds = static_cast<double>((to - from).count()) * 1e-9;
    absl::StrAppendFormat(&text, "// %6.1f %8.1f %8.1f\n", static_cast<double>(from.count()) * 1e-9,
                          static_cast<double>(without.SuccessesIn(from, to)) / seconds,
                          static_cast<double>(with.SuccessesIn(from, to)) / seconds);
  }
  return text;
}

}  // namespace

std::string StackCode(const Scenario& scenario) {
  std::string code;
  for (const Layer& layer : scenario.layers) {
    const std::string name(layer.policy->code);
    const bool pool = layer.policy == &Policies().back();
    const bool hedge = layer.policy->name == "Hedge";
    absl::StrAppend(&code, code.empty() ? "holdfast::Stack(" : ",\n                ",
                    "holdfast::", name, Code(layer.settings), pool ? ", pool" : "",
                    hedge ? ", holdfast::HedgeAll()" : "", ")");
  }
  return code + ")";
}

std::string Tell(Scenario& scenario) {
  return absl::StrCat("// --replay ", scenario.seed, "\n", ServerText(scenario),
                      ClientsText(scenario.clients), FaultText(scenario), StackCode(scenario), "\n",
                      GoodputText(scenario));
}

}  // namespace holdfast::search
