// Ten thousand random schedules of the real batcher: many clients' requests of several lengths come, are cancelled and
// expire while the device is busy; then it runs what is left. The clock stands still but for the passes.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "batching/window_batcher_fixture.h"

namespace culturetag {
namespace {

constexpr unsigned kBatchers = 20;
constexpr int kSchedulesOfEach = 500;
constexpr int kClients = 4;
constexpr double kEps = 1e-9;

struct Request {
  std::string client;
  Work work;
  int first_window = 0;  // its windows have consecutive numbers, which are their samples' values
  Outcome outcome;
  std::shared_ptr<WindowBatcher::Submission> submission;  // nullptr if it was refused

  size_t length() const { return work.request.window_samples; }
  double seconds() const { return static_cast<double>(length()) / 1000; }
  int windows() const { return static_cast<int>(work.windows.size()); }
};

// Clients of one class, by what waits for the device when it is free.
struct Waiting {
  double weight = 1;
  int windows = 0;
  double shortest = 1e9;  // in seconds
  double longest = 0;
};

class RandomSchedulesTest : public WindowBatcherTest, public testing::WithParamInterface<unsigned> {
 protected:
  RandomSchedulesTest() : random_(GetParam()) {}

  // A client of the present schedule; each has new ones, who start level.
  std::string ClientName(int schedule, int client) const { return absl::StrCat(schedule, "/", client); }
  double WeightOf(const std::string& client) const { return options_.fairness.client_weights.at(client); }

  void StartRandomBatcher() {
    options_.max_batch_windows = static_cast<int>(1 + random_() % 8);
    for (int schedule = 0; schedule < kSchedulesOfEach; ++schedule) {
      for (int client = 0; client < kClients; ++client) {
        options_.fairness.client_weights[ClientName(schedule, client)] = static_cast<double>(1 + random_() % 4);
      }
    }
    model_.SetCost(absl::ZeroDuration(), absl::Milliseconds(1));
    Start();
  }

  void SubmitRandom(int schedule, bool mixed) {
    Request& request = requests_.emplace_back();
    request.client = ClientName(schedule, static_cast<int>(random_() % kClients));
    request.first_window = next_window_;
    std::vector<float> values(1 + random_() % 6);
    for (float& value : values) value = static_cast<float>(next_window_++);
    const size_t length = mixed ? 50 + 25 * (random_() % 3) : 100;
    request.work = MakeWork(values, length, mixed && random_() % 4 == 0 ? Priority::kBulk : Priority::kInteractive);
    request.work.request.client = request.client;
    if (random_() % 4 == 0) request.work.request.deadline = clock_.Now() + absl::Seconds(1);
    const auto submission = Submit(request.work, request.outcome);
    if (submission.ok()) {
      request.submission = *submission;
    } else {
      EXPECT_EQ(reject_, RejectReason::kDeadline);
    }
  }

  void CancelRandom() {
    if (requests_.empty()) return;
    Request& request = requests_[random_() % requests_.size()];
    if (request.submission == nullptr) return;
    batcher_->Cancel(request.submission, WasteReason::kCancelled, absl::CancelledError(""));
    EXPECT_TRUE(request.outcome.ended());
  }

  // The deadlines so far pass, while the device is busy.
  void LetDeadlinesPass() {
    clock_.Advance(absl::Seconds(1));
    for (Request& request : requests_) {
      if (request.submission == nullptr || request.work.request.deadline > clock_.Now()) continue;
      EXPECT_FALSE(request.outcome.Wait().ok());
    }
  }

  bool Waits(Request& request) { return request.submission != nullptr && !request.outcome.ended(); }

  // Runs what waits, and returns the passes after the blocker's.
  std::vector<FakeModel::Pass> RunWhatWaits() {
    model_.Release();
    for (Request* request : waiting_) {
      const auto& result = request->outcome.Wait();
      EXPECT_TRUE(result.ok()) << result.status();
      for (int i = 0; result.ok() && i < request->windows(); ++i) {
        EXPECT_EQ(result->at(i).scores[0], static_cast<float>(request->first_window + i));
      }
    }
    EXPECT_TRUE(blocker_.Wait().ok());
    std::vector<FakeModel::Pass> passes = model_.passes();
    passes.erase(passes.begin());
    return passes;
  }

  Request& RequestOf(float window) {
    return *std::find_if(requests_.begin(), requests_.end(), [window](const Request& request) {
      return window >= static_cast<float>(request.first_window) && window < static_cast<float>(request.first_window + request.windows());
    });
  }

  // Every window that waited ran, once; no other did; no batch has two lengths or more windows than the largest.
  void ExpectEveryWindowOnce(const std::vector<FakeModel::Pass>& passes) {
    std::set<float> expected, run;
    for (const Request* request : waiting_) {
      for (int i = 0; i < request->windows(); ++i) expected.insert(static_cast<float>(request->first_window + i));
    }
    for (const FakeModel::Pass& pass : passes) {
      EXPECT_LE(pass.firsts.size(), static_cast<size_t>(options_.max_batch_windows));
      for (const float window : pass.firsts) {
        EXPECT_TRUE(run.insert(window).second) << "window " << window << " ran twice";
        EXPECT_EQ(RequestOf(window).length(), pass.length);
      }
    }
    EXPECT_EQ(run, expected);
  }

  std::map<std::string, Waiting> WaitingClients(Priority priority) {
    std::map<std::string, Waiting> clients;
    for (const Request* request : waiting_) {
      if (request->work.request.priority != priority) continue;
      Waiting& client = clients[request->client];
      client.weight = WeightOf(request->client);
      client.windows += request->windows();
      client.shortest = std::min(client.shortest, request->seconds());
      client.longest = std::max(client.longest, request->seconds());
    }
    return clients;
  }

  // For windows of one length: as long as all clients wait, each is within a quantum of its share, which is one window, or
  // one for each time that its weight exceeds the mean.
  void ExpectShares(const std::vector<FakeModel::Pass>& passes) {
    const std::map<std::string, Waiting> clients = WaitingClients(Priority::kInteractive);
    double weights = 0;
    for (const auto& [name, client] : clients) weights += client.weight;
    std::map<std::string, int> served;
    int total = 0;
    for (const FakeModel::Pass& pass : passes) {
      for (const float window : pass.firsts) {
        const std::string& last = RequestOf(window).client;
        ++served[last];
        ++total;
        for (const auto& [name, client] : clients) {
          const double quantum = std::max(1.0, client.weight * static_cast<double>(clients.size()) / weights);
          EXPECT_NEAR(served[name], total * client.weight / weights, quantum + kEps);
        }
        if (served[last] == clients.at(last).windows) return;
      }
    }
  }

  // The bound of fair_queue.h, in batches: those that others lead, and the client's own.
  void ExpectBoundedWaits(const std::vector<FakeModel::Pass>& passes, Priority priority) {
    const std::map<std::string, Waiting> clients = WaitingClients(priority);
    const bool bulk = priority == Priority::kBulk;
    const double share = options_.fairness.bulk_share, other_share = bulk ? 1 - share : share;
    double longest = 0, shortest_of_other = 1e9;
    for (const auto& [name, client] : clients) longest = std::max(longest, client.longest);
    for (const auto& [name, client] : WaitingClients(bulk ? Priority::kInteractive : Priority::kBulk)) {
      shortest_of_other = std::min(shortest_of_other, client.shortest);
    }
    for (const auto& [name, client] : clients) {
      double others = 0;
      for (const auto& [other_name, other] : clients) {
        if (other_name != name) others += 1 + std::floor((client.longest / client.weight) / (other.shortest / other.weight) + kEps);
      }
      const double of_other_class =
          1 + std::floor((others + 1) * (longest / (1 - other_share)) / (shortest_of_other / other_share) + kEps);
      int served = 0, wait = 0;
      for (const FakeModel::Pass& pass : passes) {
        ++wait;
        const auto own = std::count_if(pass.firsts.begin(), pass.firsts.end(), [&, &name = name](float window) {
          const Request& request = RequestOf(window);
          return request.client == name && request.work.request.priority == priority;
        });
        if (own > 0) {
          EXPECT_LE(wait, others + of_other_class + 1);
          wait = 0;
        }
        served += static_cast<int>(own);
        if (served == client.windows) break;
      }
    }
  }

  void RunSchedule(int schedule) {
    const bool mixed = random_() % 2 == 0;
    StartSchedule();
    for (unsigned steps = 3 + random_() % 8; steps > 0; --steps) {
      SubmitRandom(schedule, mixed);
      if (random_() % 4 == 0) CancelRandom();
      if (random_() % 6 == 0) LetDeadlinesPass();
    }
    for (Request& request : requests_) {
      if (Waits(request)) waiting_.push_back(&request);
    }
    const std::vector<FakeModel::Pass> passes = RunWhatWaits();
    ExpectEveryWindowOnce(passes);
    if (!mixed) ExpectShares(passes);
    for (const Priority priority : {Priority::kInteractive, Priority::kBulk}) ExpectBoundedWaits(passes, priority);
    EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
  }

  // Begins a schedule: nothing waits, and the device is busy.
  void StartSchedule() {
    requests_.clear();
    waiting_.clear();
    next_window_ = 1;
    model_.ForgetPasses();
    model_.Hold();
    blocker_.Reset();
    ASSERT_TRUE(Submit(MakeWork({0}), blocker_).ok());
    model_.WaitForPasses(1);
  }

  std::mt19937 random_;
  std::deque<Request> requests_;
  std::vector<Request*> waiting_;  // those of which nothing has ended when the device is free
  int next_window_ = 1;
};

TEST_P(RandomSchedulesTest, LoseNothingRunNothingTwiceAndAreFair) {
  StartRandomBatcher();
  for (int schedule = 0; schedule < kSchedulesOfEach; ++schedule) {
    RunSchedule(schedule);
    ASSERT_FALSE(HasFailure()) << "in schedule " << schedule;
  }
}

// Each batcher has a test of its own, so that they run side by side.
INSTANTIATE_TEST_SUITE_P(OfABatcher, RandomSchedulesTest, testing::Range(0U, kBatchers));

}  // namespace
}  // namespace culturetag
