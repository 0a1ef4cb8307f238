// A Slot holds a policy of any type, so that a stack can be made up at run time. An empty one lets
// everything pass.
//
//   Slot slot{holdfast::Retry({})};
#ifndef HOLDFAST_TEST_SEARCH_SLOT_H_
#define HOLDFAST_TEST_SEARCH_SLOT_H_

#include <absl/status/status.h>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/time_below.h"
#include "holdfast/call/verdict.h"

namespace holdfast::search {

class Slot {
 private:
  static constexpr std::size_t kStateBytes = 512;

  struct Model {
    virtual ~Model() = default;
    virtual void Begin(void* state) const = 0;
    virtual void End(void* state) const = 0;
    virtual Verdict Before(Call& call, void* state) = 0;
    virtual Next After(Call& call, void* state, absl::Status& result) = 0;
    virtual void OnAbandon(Call& call, void* state) = 0;
    virtual absl::Status Result(Call& call, void* state) = 0;
    virtual void Bound(TimePoint now, TimeBelow& below) const = 0;
  };

 public:
  Slot() = default;
  template <class P>
  explicit Slot(P policy) : model_(std::make_shared<ModelOf<P>>(std::move(policy))) {}

  // The policy's own state, in place: calls through a stack of slots allocate no more than it.
  class State {
   public:
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      if (model_ != nullptr) model_->End(bytes_);
    }

   private:
    friend class Slot;
    void* Begin(const Model& model) {
      if (model_ == nullptr) model.Begin(bytes_);
      model_ = &model;
      return bytes_;
    }
    const Model* model_ = nullptr;  // null: it has not begun
    alignas(std::max_align_t) std::byte bytes_[kStateBytes];
  };

  Verdict Before(Call& call, State& state) const {
    return model_ == nullptr ? Verdict::Proceed() : model_->Before(call, state.Begin(*model_));
  }
  Next After(Call& call, State& state, absl::Status& result) const {
    return model_ == nullptr ? Next::Done() : model_->After(call, state.bytes_, result);
  }
  void OnAbandon(Call& call, State& state) const {
    if (state.model_ != nullptr) model_->OnAbandon(call, state.bytes_);
  }
  template <class R>
  R Result(Call& call, State& state) const {
    return model_->Result(call, state.bytes_);
  }

 private:
  template <class P>
  struct ModelOf final : Model {
    using S = typename P::State;
    static_assert(sizeof(S) <= kStateBytes && alignof(S) <= alignof(std::max_align_t));

    explicit ModelOf(P p) : policy(std::move(p)) {}
    static S& In(void* state) { return *std::launder(static_cast<S*>(state)); }

    void Begin(void* state) const override { ::new (state) S(); }
    void End(void* state) const override { In(state).~S(); }
    Verdict Before(Call& call, void* state) override { return policy.Before(call, In(state)); }
    Next After(Call& call, void* state, absl::Status& result) override {
      return policy.After(call, In(state), result);
    }
    void OnAbandon(Call& call, void* state) override {
      if constexpr (requires(S& s) { policy.OnAbandon(call, s); })
        policy.OnAbandon(call, In(state));
    }
    absl::Status Result(Call& call, void* state) override {
      if constexpr (requires(S& s) { policy.template Result<absl::Status>(call, s); }) {
        return policy.template Result<absl::Status>(call, In(state));
      } else {
        return absl::InternalError("not a policy that answers");
      }
    }

    void Bound(TimePoint now, TimeBelow& below) const override {
      internal::Bound(policy, now, below);
    }

    P policy;
  };

  // What a stack asks of each policy (internal/time_below.h), found by its argument.
  friend void Bound(const Slot& slot, TimePoint now, TimeBelow& below) {
    if (slot.model_ != nullptr) slot.model_->Bound(now, below);
  }

  std::shared_ptr<Model> model_;  // null: empty
};

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_SLOT_H_
