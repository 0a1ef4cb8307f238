#include "test/search/shrink.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace holdfast::search {
namespace {

bool BeginsWith(const std::vector<std::string>& path, const std::vector<std::string>& begin) {
  return path.size() >= begin.size() && std::equal(begin.begin(), begin.end(), path.begin());
}

// Puts an option back; braces go with what is in them.
void Remove(Settings& settings, std::size_t i) {
  const Setting removed = settings[i];
  const bool braces = removed.name.empty() && removed.code.empty();
  if (!braces) {
    settings.erase(settings.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
  std::erase_if(settings, [&](const Setting& s) { return BeginsWith(s.path, removed.path); });
}

class Shrinker {
 public:
  Shrinker(Scenario scenario, const std::function<bool(Scenario&)>& fails,
           std::chrono::steady_clock::time_point until)
      : best_(std::move(scenario)), fails_(fails), until_(until) {}

  Scenario Run() {
    while (DropLayers() || ResetSettings()) {
    }
    return std::move(best_);
  }

 private:
  bool Try(Scenario simpler) {
    if (std::chrono::steady_clock::now() > until_) return false;
    try {
      simpler.Fill();
      if (!fails_(simpler)) return false;
    } catch (const std::exception&) {  // options that don't fit each other
      return false;
    }
    best_ = std::move(simpler);
    return true;
  }

  bool DropLayers() {
    bool dropped = false;
    for (std::size_t i = best_.layers.size(); i-- > 0;) {
      Scenario simpler = best_;
      simpler.layers.erase(simpler.layers.begin() + static_cast<std::ptrdiff_t>(i));
      dropped = Try(std::move(simpler)) || dropped;
    }
    return dropped;
  }

  template <class SettingsOf>
  bool Reset(const SettingsOf& settings_of) {
    bool reset = false;
    for (std::size_t i = settings_of(best_).size(); i-- > 0;) {
      if (i >= settings_of(best_).size() || settings_of(best_)[i].fixed) continue;
      Scenario simpler = best_;
      Remove(settings_of(simpler), i);
      reset = Try(std::move(simpler)) || reset;
    }
    return reset;
  }

  bool ResetSettings() {
    bool reset = false;
    for (std::size_t layer = 0; layer < best_.layers.size(); ++layer) {
      reset = Reset([=](Scenario& s) -> Settings& { return s.layers[layer].settings; }) || reset;
    }
    reset = Reset([](Scenario& s) -> Settings& { return s.fault_settings; }) || reset;
    reset = Reset([](Scenario& s) -> Settings& { return s.clients_settings; }) || reset;
    return Reset([](Scenario& s) -> Settings& { return s.service_settings; }) || reset;
  }

  Scenario best_;
  const std::function<bool(Scenario&)>& fails_;
  const std::chrono::steady_clock::time_point until_;
};

}  // namespace

Scenario Shrink(Scenario scenario, const std::function<bool(Scenario&)>& fails,
                std::chrono::steady_clock::duration longest) {
  return Shrinker(std::move(scenario), fails, std::chrono::steady_clock::now() + longest).Run();
}

}  // namespace holdfast::search
