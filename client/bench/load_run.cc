#include "client/bench/load_run.h"

#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/proto_duration.h"

namespace culturetag::client {
namespace {

// The requests under way and what became of the others. One thread sends; gRPC's threads hand in outcomes.
class LoadRun {
 public:
  LoadRun(const LoadInput& input, Interrupts& interrupts)
      : input_(input), listener_(interrupts, [this] {
          absl::MutexLock lock(&mutex_);
          interrupted_ = true;
        }) {}

  absl::Time start() const { return start_; }

  // Waits until `time`, or Ctrl-C, and returns whether to go on.
  bool WaitUntil(absl::Time time) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return !mutex_.AwaitWithDeadline(absl::Condition(&interrupted_), time);
  }

  // Waits until fewer than `limit` requests are under way, or until `time` or Ctrl-C, and returns whether to go on.
  bool WaitForRoom(int limit, absl::Time time) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto has_room = [this, limit] {
      mutex_.AssertHeld();
      return interrupted_ || under_way_ < limit;
    };
    return mutex_.AwaitWithDeadline(absl::Condition(&has_room), time) && !interrupted_ && absl::Now() < time;
  }

  void Send(std::size_t clip, std::size_t client, absl::Time due) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto request = std::make_unique<v1::TagRequest>(input_.request);
    *request->mutable_audio() = input_.clips[clip].audio;
    const absl::Time sent = absl::Now();
    {
      absl::MutexLock lock(&mutex_);
      ++under_way_;
      ++result_.sent;
    }
    const LoadClient& caller = input_.clients[client];
    caller.client->Tag(std::move(request), [this, &caller, due, sent](const Outcome<v1::TagResponse>& outcome) {
      HandIn(caller, due, sent, outcome);
    });
  }

  LoadResult Finish() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto all_ended = [this] {
      mutex_.AssertHeld();
      return under_way_ == 0;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&all_ended));
    return std::move(result_);
  }

 private:
  void HandIn(const LoadClient& caller, absl::Time due, absl::Time sent, const Outcome<v1::TagResponse>& outcome)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::Time now = absl::Now();
    absl::MutexLock lock(&mutex_);
    --under_way_;
    result_.elapsed = now - start_;
    if (const auto* const failure = std::get_if<Failure>(&outcome)) {
      ++result_.failures[failure->code];
      result_.reasons.emplace(failure->code, failure->message);
      if (failure->code == "RESOURCE_EXHAUSTED") result_.refusal.Add(now - sent);
      return;
    }
    const auto& response = std::get<v1::TagResponse>(outcome);
    ++result_.answered;
    result_.audio += FromProto(response.audio().duration());
    if (now - due <= input_.goal) ++result_.within_goal;
    result_.latency.Add(now - due);
    result_.latency_by_client[caller.name].Add(now - due);
    result_.sending_delay.Add(sent - due);
    result_.decode.Add(FromProto(response.timing().decode()));
    result_.queue.Add(FromProto(response.timing().queue()));
    result_.inference.Add(FromProto(response.timing().inference()));
    result_.server_total.Add(FromProto(response.timing().total()));
  }

  const LoadInput& input_;
  const absl::Time start_ = absl::Now();
  absl::Mutex mutex_;
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  LoadResult result_ ABSL_GUARDED_BY(mutex_);
  const Interrupts::Listener listener_;  // last: it uses all of the above
};

}  // namespace

LoadResult RunOpenLoop(const LoadInput& input, const std::vector<Arrival>& schedule, Interrupts& interrupts) {
  LoadRun run(input, interrupts);
  for (const Arrival& arrival : schedule) {
    const absl::Time due = run.start() + arrival.due;
    if (!run.WaitUntil(due)) break;
    run.Send(arrival.clip, arrival.client, due);
  }
  return run.Finish();
}

LoadResult RunClosedLoop(const LoadInput& input, const std::vector<std::size_t>& clips, int concurrency,
                         absl::Duration length, Interrupts& interrupts) {
  LoadRun run(input, interrupts);
  for (std::size_t i = 0; run.WaitForRoom(concurrency, run.start() + length); ++i) {
    run.Send(clips[i % clips.size()], i % input.clients.size(), absl::Now());
  }
  return run.Finish();
}

}  // namespace culturetag::client
