#include "simulator/simulation.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <random>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace culturetag::simulator {
namespace {

// Of events at the same time, those of the kind that stands first here come first: what is scored at its deadline is in
// time, what expires isn't sent to the device, and arrivals at one time may share a batch.
enum class EventKind { kFinish, kLeave, kDispatch };

struct Event {
  absl::Time time;
  EventKind kind;
  uint64_t number;  // events of the same time and kind come in the order in which they were foreseen
  size_t replica;
  std::shared_ptr<Request> request;  // of kLeave

  friend bool operator>(const Event& a, const Event& b) {
    return std::tie(a.time, a.kind, a.number) > std::tie(b.time, b.kind, b.number);
  }
};

struct Replica {
  std::unique_ptr<Scheduler> scheduler;
  FairnessMeter fairness;
  absl::flat_hash_set<std::shared_ptr<Request>> live;  // accepted and not ended; schedulers may hold bare pointers to them
  Batch running;  // empty while the device is free
  absl::Duration device_time;
  absl::Time dispatch = absl::InfiniteFuture();  // when an event will look for work
};

class Simulation {
 public:
  Simulation(const SimulationOptions& options, const DeviceCurve& curve,
             const std::function<std::unique_ptr<Scheduler>()>& make_scheduler, Trace& trace)
      : options_(options),
        curve_(curve),
        trace_(trace),
        horizon_(absl::UnixEpoch() + options.duration),
        slice_end_(absl::UnixEpoch() + options.fairness_slice),
        replicas_(static_cast<size_t>(options.replicas)),
        balancer_(MakeBalancer(options.balancer, replicas_.size(), options.seed)),
        random_(options.seed) {
    for (Replica& replica : replicas_) replica.scheduler = make_scheduler();
  }

  Results Run() {
    constexpr int64_t kStepsPerReport = 1 << 16;
    absl::optional<Arrival> arrival = trace_.Next();
    for (int64_t step = 1; arrival.has_value() || !events_.empty(); ++step) {
      const bool arrives = arrival.has_value() && (events_.empty() || ComesBefore(*arrival, events_.top()));
      AdvanceTo(arrives ? arrival->time : events_.top().time);
      if (arrives) {
        Arrive(*arrival);
        arrival = trace_.Next();
      } else {
        const Event event = events_.top();
        events_.pop();
        Handle(event);
      }
      if (step % kStepsPerReport == 0) options_.on_progress(now_ - absl::UnixEpoch(), results_.windows_run);
    }
    return std::move(results_);
  }

 private:
  static bool ComesBefore(const Arrival& arrival, const Event& event) {
    return arrival.time < event.time || (arrival.time == event.time && event.kind == EventKind::kDispatch);
  }

  void AdvanceTo(absl::Time time) {
    now_ = time;
    while (slice_end_ <= std::min(now_, horizon_)) {
      for (Replica& replica : replicas_) replica.fairness.EndSlice(slice_end_, options_.client_weights, results_.fairness);
      slice_end_ += options_.fairness_slice;
    }
  }

  void Foresee(absl::Time time, EventKind kind, size_t replica, std::shared_ptr<Request> request = nullptr) {
    events_.push({time, kind, ++event_number_, replica, std::move(request)});
  }

  void Handle(const Event& event) {
    switch (event.kind) {
      case EventKind::kFinish:
        return Finish(event.replica);
      case EventKind::kLeave:
        return Leave(event.replica, *event.request);
      case EventKind::kDispatch:
        return Dispatch(event.replica);
    }
  }

  void Arrive(const Arrival& arrival) {
    const auto request = std::make_shared<Request>(arrival);
    const size_t index = balancer_->Pick();
    Replica& replica = replicas_[index];
    request->outcome = replica.scheduler->Offer(request, now_);
    if (request->outcome != Outcome::kPending) return Record(*request);
    balancer_->Begin(index);
    replica.live.insert(request);
    replica.fairness.Queued(*request, now_);
    const absl::Time leaves = std::min(request->deadline(), request->gives_up);
    if (leaves < absl::InfiniteFuture()) Foresee(leaves, EventKind::kLeave, index, request);
    DispatchAt(index, now_);
  }

  // Sees to it that the replica looks for work at `time`, if it is free then.
  void DispatchAt(size_t index, absl::Time time) {
    Replica& replica = replicas_[index];
    if (!replica.running.empty() || replica.dispatch <= time) return;
    replica.dispatch = time;
    Foresee(time, EventKind::kDispatch, index);
  }

  void Dispatch(size_t index) {
    Replica& replica = replicas_[index];
    if (replica.dispatch != now_ || !replica.running.empty()) return;  // overtaken by an earlier one
    replica.dispatch = absl::InfiniteFuture();
    replica.running = replica.scheduler->TakeBatch(now_);
    if (replica.running.empty()) {
      const absl::Time next = replica.scheduler->NextDecision();
      if (next < absl::InfiniteFuture()) DispatchAt(index, next);
      return;
    }
    for (const std::shared_ptr<Request>& request : replica.running) {
      --request->untaken;
      replica.fairness.Taken(*request, 1);
    }
    const Request& first = *replica.running.front();
    replica.device_time = Jittered(curve_.Pass(static_cast<int>(replica.running.size()), first.key().second));
    Foresee(now_ + replica.device_time, EventKind::kFinish, index);
  }

  void Finish(size_t index) {
    Replica& replica = replicas_[index];
    const Batch batch = std::exchange(replica.running, {});
    replica.scheduler->Finish(batch, replica.device_time);
    ++results_.batches;
    results_.windows_run += static_cast<int64_t>(batch.size());
    const absl::Time start = now_ - replica.device_time;
    if (start < horizon_) results_.device_busy += std::min(now_, horizon_) - start;
    for (const std::shared_ptr<Request>& request : batch) Score(index, *request);
    DispatchAt(index, now_);
  }

  void Score(size_t index, Request& request) {
    if (now_ <= horizon_) {
      results_.audio_scored += request.window_audio();
      ++request.scored_in_time;
    }
    if (request.outcome != Outcome::kPending) {
      ++results_.windows_unwanted;
    } else if (--request.unscored == 0) {
      replicas_[index].scheduler->Answered(request, now_);
      End(index, request, Outcome::kServed);
      results_.audio_answered += request.window_audio() * request.scored_in_time;
      results_.classes[static_cast<size_t>(request.priority())].latencies.push_back(
          absl::ToDoubleSeconds(now_ - request.arrived));
    }
  }

  // The deadline has come, or the caller's patience has run out.
  void Leave(size_t index, Request& request) {
    if (request.outcome != Outcome::kPending) return;
    replicas_[index].scheduler->Abandon(request, now_);
    replicas_[index].fairness.Left(request, request.untaken);
    results_.windows_unanswered += request.windows - request.unscored;
    End(index, request, request.deadline() <= request.gives_up ? Outcome::kExpired : Outcome::kCancelled);
  }

  void End(size_t index, Request& request, Outcome outcome) {
    request.outcome = outcome;
    balancer_->End(index);
    Record(request);
    replicas_[index].live.erase(request.shared_from_this());
  }

  void Record(const Request& request) {
    ++results_.classes[static_cast<size_t>(request.priority())].requests[static_cast<size_t>(request.outcome)];
  }

  absl::Duration Jittered(absl::Duration pass) {
    if (options_.jitter <= 0) return pass;
    const double variance = std::log1p(options_.jitter * options_.jitter);
    return pass * std::exp(std::sqrt(variance) * normal_(random_) - variance / 2);
  }

  const SimulationOptions& options_;
  const DeviceCurve& curve_;
  Trace& trace_;
  const absl::Time horizon_;
  absl::Time now_ = absl::UnixEpoch();
  absl::Time slice_end_;
  std::vector<Replica> replicas_;
  const std::unique_ptr<Balancer> balancer_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  uint64_t event_number_ = 0;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  Results results_;
};

}  // namespace

Results Simulate(const SimulationOptions& options, const DeviceCurve& curve,
                 const std::function<std::unique_ptr<Scheduler>()>& make_scheduler, Trace& trace) {
  return Simulation(options, curve, make_scheduler, trace).Run();
}

}  // namespace culturetag::simulator
