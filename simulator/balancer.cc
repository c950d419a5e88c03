#include "simulator/balancer.h"

#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace culturetag::simulator {
namespace {

class RoundRobin final : public Balancer {
 public:
  explicit RoundRobin(size_t replicas) : replicas_(replicas) {}
  size_t Pick() override { return next_++ % replicas_; }
  void Begin(size_t /*replica*/) override {}
  void End(size_t /*replica*/) override {}

 private:
  const size_t replicas_;
  size_t next_ = 0;
};

class LeastOutstanding final : public Balancer {
 public:
  explicit LeastOutstanding(size_t replicas) : states_(replicas) {
    for (size_t i = 0; i < replicas; ++i) order_.insert({0, 0, i});
  }

  size_t Pick() override {
    const size_t replica = std::get<2>(*order_.begin());
    Move(replica, 0, ++picks_);  // also if it refuses: the next one is tried then
    return replica;
  }
  void Begin(size_t replica) override { Move(replica, 1, states_[replica].last_pick); }
  void End(size_t replica) override { Move(replica, -1, states_[replica].last_pick); }

 private:
  struct State {
    int outstanding = 0;
    uint64_t last_pick = 0;
  };

  void Move(size_t replica, int outstanding, uint64_t last_pick) {
    State& state = states_[replica];
    order_.erase({state.outstanding, state.last_pick, replica});
    state = {state.outstanding + outstanding, last_pick};
    order_.insert({state.outstanding, state.last_pick, replica});
  }

  std::vector<State> states_;
  std::set<std::tuple<int, uint64_t, size_t>> order_;
  uint64_t picks_ = 0;
};

class RandomOfTwo final : public Balancer {
 public:
  RandomOfTwo(size_t replicas, uint64_t seed) : outstanding_(replicas), random_(seed), replica_(0, replicas - 1) {}

  size_t Pick() override {
    const size_t a = replica_(random_), b = replica_(random_);
    return outstanding_[a] <= outstanding_[b] ? a : b;
  }
  void Begin(size_t replica) override { ++outstanding_[replica]; }
  void End(size_t replica) override { --outstanding_[replica]; }

 private:
  std::vector<int> outstanding_;
  std::mt19937_64 random_;
  std::uniform_int_distribution<size_t> replica_;
};

}  // namespace

std::unique_ptr<Balancer> MakeBalancer(BalancerKind kind, size_t replicas, uint64_t seed) {
  switch (kind) {
    case BalancerKind::kRoundRobin:
      return std::make_unique<RoundRobin>(replicas);
    case BalancerKind::kLeastOutstanding:
      return std::make_unique<LeastOutstanding>(replicas);
    case BalancerKind::kRandomOfTwo:
      return std::make_unique<RandomOfTwo>(replicas, seed);
  }
  return nullptr;
}

}  // namespace culturetag::simulator
