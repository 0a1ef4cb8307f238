#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "opentelemetry/common/key_value_iterable.h"
#include "opentelemetry/nostd/shared_ptr.h"
#include "opentelemetry/nostd/variant.h"

namespace opentelemetry::metrics {

template <class T>
class ObserverResultT {
 public:
  virtual ~ObserverResultT() = default;
  virtual void Observe(T value) noexcept = 0;
  virtual void Observe(T value, const common::KeyValueIterable& attributes) noexcept = 0;

  // Any container of pairs of a key and a value.
  template <class Pairs>
    requires requires(const Pairs& pairs) { pairs.begin()->second; }
  void Observe(T value, const Pairs& pairs) noexcept {
    Observe(value, static_cast<const common::KeyValueIterable&>(View<Pairs>(pairs)));
  }

 private:
  template <class Pairs>
  class View final : public common::KeyValueIterable {
   public:
    explicit View(const Pairs& pairs) : pairs_(pairs) {}
    bool ForEachKeyValue(std::function<bool(nostd::string_view, common::AttributeValue)> callback)
        const noexcept override {
      for (const auto& [key, value] : pairs_) {
        if (!callback(key, value)) return false;
      }
      return true;
    }
    std::size_t size() const noexcept override { return pairs_.size(); }

   private:
    const Pairs& pairs_;
  };
};

using ObserverResult = nostd::variant<nostd::shared_ptr<ObserverResultT<std::int64_t>>,
                                      nostd::shared_ptr<ObserverResultT<double>>>;

}  // namespace opentelemetry::metrics
