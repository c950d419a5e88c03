#include "batching/fair_queue.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Duration kWindow = absl::Seconds(1);
const BucketKey kKey = {0, 1000};
const absl::Time kNow = absl::UnixEpoch();

// An entry with so many windows.
struct TestEntry final : FairQueue::Entry {
  TestEntry(BucketKey key, const std::string& client, Priority priority, size_t windows_in)
      : Entry(key, client, priority, kWindow * static_cast<double>(key.second) / 1000), windows(windows_in) {}
  const size_t windows;
};

std::unique_ptr<TestEntry> MakeEntry(const std::string& client, size_t windows, BucketKey key = kKey,
                                     Priority priority = Priority::kInteractive) {
  return std::make_unique<TestEntry>(key, client, priority, windows);
}

void Push(FairQueue& queue, TestEntry& entry) { queue.Push(entry, entry.windows, kNow); }

// The bucket whose turn it is.
BucketKey Lead(const FairQueue& queue) {
  const auto buckets = queue.Buckets();
  return std::min_element(buckets.begin(), buckets.end(), [](const auto& a, const auto& b) { return a.second.turn < b.second.turn; })
      ->first;
}

// Takes the next window of the bucket whose turn it is, and returns its entry.
FairQueue::Entry& Take(FairQueue& queue) {
  FairQueue::Entry& entry = queue.Next(Lead(queue));
  queue.TakeWindow(entry, FairQueue::Place::kLeads, kNow);
  return entry;
}

TEST(FairQueueTest, LetsTheRequestsOfAClientTakeTurnsWindowByWindow) {
  FairQueue queue({});
  const auto a = MakeEntry("x", 3), b = MakeEntry("x", 2);
  Push(queue, *a);
  Push(queue, *b);
  std::vector<const FairQueue::Entry*> order;
  while (!queue.empty()) order.push_back(&Take(queue));
  EXPECT_THAT(order, ElementsAre(a.get(), b.get(), a.get(), b.get(), a.get()));
}

TEST(FairQueueTest, LetsClientsTakeTurnsHoweverManyRequestsEachHas) {
  FairQueue queue({});
  std::vector<std::unique_ptr<TestEntry>> many;
  for (int i = 0; i < 10; ++i) Push(queue, *many.emplace_back(MakeEntry("many", 1)));
  const auto one = MakeEntry("one", 5);
  Push(queue, *one);
  std::map<std::string, int> taken;
  for (int i = 0; i < 10; ++i) ++taken[Take(queue).client()];
  EXPECT_EQ(taken["many"], 5);
  EXPECT_EQ(taken["one"], 5);
  while (!queue.empty()) Take(queue);
}

TEST(FairQueueTest, GivesNoCreditForIdleTime) {
  FairQueue queue({});
  const auto busy = MakeEntry("busy", 100);
  Push(queue, *busy);
  for (int i = 0; i < 50; ++i) Take(queue);
  const auto late = MakeEntry("late", 50);
  Push(queue, *late);
  std::map<std::string, int> taken;
  for (int i = 0; i < 20; ++i) ++taken[Take(queue).client()];
  EXPECT_NEAR(taken["late"], 10, 1);
  queue.Remove(*busy);
  queue.Remove(*late);
}

TEST(FairQueueTest, ServesARareLengthInItsClientsTurn) {
  FairQueue queue({});
  const auto common = MakeEntry("crowd", 1000), rare = MakeEntry("loner", 1, {0, 700});
  Push(queue, *common);
  for (int i = 0; i < 5; ++i) Take(queue);
  Push(queue, *rare);
  EXPECT_EQ(&Take(queue), rare.get());
  queue.Remove(*common);
}

// With a max_queue_delay the bucket of the client whose turn it is may not be ripe.
TEST(FairQueueTest, LetsTheOthersTakeTurnsWhileTheBucketInTurnIsPassedOver) {
  FairQueue queue({});
  const auto unripe = MakeEntry("unripe", 1, {0, 700}), a = MakeEntry("a", 100), b = MakeEntry("b", 100);
  for (TestEntry* entry : {unripe.get(), a.get(), b.get()}) Push(queue, *entry);
  for (int i = 0; i < 20; ++i) queue.TakeWindow(queue.Next(kKey), FairQueue::Place::kLeads, kNow);
  EXPECT_EQ(a->waiting(), 90U);
  EXPECT_EQ(b->waiting(), 90U);
  EXPECT_EQ(Lead(queue), unripe->key());
  for (TestEntry* entry : {unripe.get(), a.get(), b.get()}) queue.Remove(*entry);
}

TEST(FairQueueTest, AlternatesBetweenTheLengthsOfOneClient) {
  FairQueue queue({});
  const auto common = MakeEntry("x", 1000), rare = MakeEntry("x", 2, {0, 700});
  Push(queue, *common);
  Push(queue, *rare);
  std::vector<size_t> lengths;
  for (int i = 0; i < 4; ++i) lengths.push_back(Take(queue).key().second);
  EXPECT_EQ(std::count(lengths.begin(), lengths.end(), 700U), 2);
  queue.Remove(*common);
}

// Interactive callers who each wait for one answer before they ask again, so that their class is idle now and then.
TEST(FairQueueTest, ServesALengthThatWaitsBeforeOneThatEmptiesAndFillsAgain) {
  FairQueue queue({});
  const auto patient = MakeEntry("x", 2, {1, 1000}), first = MakeEntry("x", 1), second = MakeEntry("x", 1);
  Push(queue, *patient);
  Take(queue);
  for (TestEntry* returning : {first.get(), second.get()}) {
    Push(queue, *returning);
    Take(queue);
  }
  EXPECT_EQ(patient->waiting(), 0U);
  while (!queue.empty()) Take(queue);
}

TEST(FairQueueTest, GivesBulkItsShareAgainstCallersWhoComeAndGo) {
  for (const bool same_client : {false, true}) {
    FairQueue queue({});
    const auto bulk = MakeEntry("bulk", 100000, kKey, Priority::kBulk);
    Push(queue, *bulk);
    std::vector<std::unique_ptr<TestEntry>> callers(2);
    const auto ask = [&](size_t i) {
      callers[i] = MakeEntry(same_client ? "caller" : "caller " + std::to_string(i), 1);
      Push(queue, *callers[i]);
    };
    ask(0);
    ask(1);
    int bulk_windows = 0;
    size_t answered = callers.size();  // whose answer has come, but who hasn't asked again yet
    for (int turn = 0; turn < 2000; ++turn) {
      const FairQueue::Entry& taken = Take(queue);
      if (&taken == bulk.get()) ++bulk_windows;
      if (answered < callers.size()) ask(answered);
      answered = callers.size();
      for (size_t i = 0; i < callers.size(); ++i) {
        if (&taken == callers[i].get()) answered = i;
      }
    }
    EXPECT_NEAR(bulk_windows, 250, 25) << "same client: " << same_client;
    for (const auto& caller : callers) queue.Remove(*caller);
    queue.Remove(*bulk);
  }
}

TEST(FairQueueTest, LetsBulkNotPassACallerWhoComesNowAndThen) {
  FairQueue queue({});
  const auto bulk = MakeEntry("bulk", 1000, kKey, Priority::kBulk);
  Push(queue, *bulk);
  for (int i = 0; i < 20; ++i) {
    for (int j = 0; j < 20; ++j) EXPECT_EQ(&Take(queue), bulk.get());
    const auto caller = MakeEntry("caller", 1);
    Push(queue, *caller);
    EXPECT_EQ(&Take(queue), caller.get());
  }
  queue.Remove(*bulk);
}

TEST(FairQueueTest, ForgetsARemovedEntryAtOnce) {
  FairQueue queue({});
  const auto a = MakeEntry("x", 3), b = MakeEntry("y", 1);
  Push(queue, *a);
  Push(queue, *b);
  Take(queue);
  queue.Remove(*a);
  queue.Remove(*a);
  EXPECT_EQ(a->waiting(), 0U);
  queue.Remove(*b);
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.has(kKey));
  EXPECT_THAT(queue.Buckets(), IsEmpty());
}

TEST(FairQueueTest, TellsWhatWouldBeServedBeforeANewRequest) {
  FairQueue::Options options;
  options.client_weights = {{"heavy", 3}};
  FairQueue queue(options);
  const auto own = MakeEntry("me", 10), heavy = MakeEntry("heavy", 10), light = MakeEntry("light", 1, {1, 1000});
  for (TestEntry* entry : {own.get(), heavy.get(), light.get()}) Push(queue, *entry);
  const auto ahead = queue.AudioAhead("me", Priority::kInteractive, 2 * kWindow);
  // Two turns of my other request; and of the heavy client's three times as many as those and the new one's, or all.
  EXPECT_EQ(ahead.at(0), (2 + 10) * kWindow);
  EXPECT_EQ(ahead.at(1), kWindow);            // all that the light one has
  EXPECT_EQ(queue.AudioAhead("other", Priority::kBulk, kWindow).at(0), 20 * kWindow);
  for (TestEntry* entry : {own.get(), heavy.get(), light.get()}) queue.Remove(*entry);
}

TEST(FairQueueTest, CountsWhatIsStillToComeInWhatWouldBeServedBefore) {
  FairQueue queue({});
  const auto track = MakeEntry("track", 1);
  queue.Expect(*track, 10 * kWindow);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.AudioAhead("me", Priority::kInteractive, 4 * kWindow).at(0), 4 * kWindow);
  EXPECT_EQ(queue.AudioAhead("me", Priority::kBulk, kWindow).at(0), 10 * kWindow);
  Push(queue, *track);
  Push(queue, *track);
  EXPECT_EQ(track->to_come(), 8 * kWindow);
  EXPECT_EQ(queue.AudioAhead("me", Priority::kBulk, kWindow).at(0), 10 * kWindow);
  Take(queue);
  EXPECT_EQ(queue.AudioAhead("me", Priority::kBulk, kWindow).at(0), 9 * kWindow);
  queue.Expect(*track, absl::ZeroDuration());
  EXPECT_EQ(queue.AudioAhead("me", Priority::kBulk, kWindow).at(0), kWindow);
  queue.Remove(*track);
  EXPECT_THAT(queue.AudioAhead("me", Priority::kBulk, kWindow), IsEmpty());
}

TEST(FairQueueTest, TakesMoreWindowsOfAnEntryThatRanDry) {
  FairQueue queue({});
  const auto stream = MakeEntry("stream", 1), other = MakeEntry("other", 3);
  Push(queue, *other);
  for (int i = 0; i < 3; ++i) {
    Push(queue, *stream);
    while (stream->waiting() > 0) Take(queue);
  }
  while (!queue.empty()) Take(queue);
  EXPECT_EQ(stream->waiting(), 0U);
}

TEST(FairQueueTest, ForgetsClientsThatAreGone) {
  FairQueue queue({});
  const auto busy = MakeEntry("busy", 100000);
  Push(queue, *busy);
  for (size_t i = 0; i < 10 * FairQueue::kManyClients; ++i) {
    const auto entry = MakeEntry("client " + std::to_string(i), 1);
    Push(queue, *entry);
    while (entry->waiting() > 0) Take(queue);
    ASSERT_LE(queue.client_count(), 2 * FairQueue::kManyClients);
  }
  queue.Remove(*busy);
}

// Random schedules of pushes, removals and takes by batch: every window is taken once or removed, batches keep to one
// bucket, and clients that always wait share within a quantum of their weights.
class FairQueuePropertyTest : public testing::Test {
 protected:
  struct Client {
    std::string name;
    double weight;
    std::vector<std::unique_ptr<TestEntry>> entries;
    double served = 0;  // seconds of audio
  };
};

TEST_F(FairQueuePropertyTest, LosesNothingAndSharesByWeightInTenThousandSchedules) {
  for (unsigned seed = 0; seed < 10000; ++seed) {
    std::mt19937 random(seed);
    FairQueue::Options options;
    std::vector<Client> clients(2 + random() % 3);
    for (size_t i = 0; i < clients.size(); ++i) {
      clients[i].name = std::string(1, static_cast<char>('a' + i));
      clients[i].weight = static_cast<double>(1 + random() % 4);
      options.client_weights[clients[i].name] = clients[i].weight;
    }
    FairQueue queue(options);
    size_t pushed = 0, taken = 0, removed = 0;
    const auto push = [&](Client& client) {
      const size_t windows = 1 + random() % 5;
      pushed += windows;
      Push(queue, *client.entries.emplace_back(MakeEntry(client.name, windows)));
    };
    const auto waiting = [](const Client& client) {
      size_t count = 0;
      for (const auto& entry : client.entries) count += entry->waiting();
      return count;
    };
    const auto refill = [&] {
      for (Client& client : clients) {
        while (waiting(client) < 8) push(client);  // nobody is ever idle
      }
    };
    refill();
    for (int step = 0; step < 40; ++step) {
      if (random() % 4 == 0) {
        Client& client = clients[random() % clients.size()];
        FairQueue::Entry& entry = *client.entries[random() % client.entries.size()];
        if (waiting(client) > entry.waiting()) {
          removed += entry.waiting();
          queue.Remove(entry);
        }
      }
      refill();
      const size_t batch = 1 + random() % 4;
      for (size_t i = 0; i < batch; ++i) {
        FairQueue::Entry& entry = Take(queue);
        clients[static_cast<size_t>(entry.client()[0] - 'a')].served += 1;
        ++taken;
      }
      for (const Client& a : clients) {
        for (const Client& b : clients) {
          ASSERT_LE(a.served / a.weight - b.served / b.weight, 1 / a.weight + 1 / b.weight + 1e-9) << "seed " << seed;
        }
      }
    }
    while (!queue.empty()) {
      Take(queue);
      ++taken;
    }
    ASSERT_EQ(taken + removed, pushed) << "seed " << seed;
  }
}

// A client that comes anew is level with the present, so that each of the others leads at most one batch before it, and bulk
// one in seven: a tighter bound than the header's, which random_schedules_test.cc tests.
TEST_F(FairQueuePropertyTest, PutsANewClientsWindowOnTheDeviceWithinTheStatedNumberOfBatches) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    FairQueue queue({});
    std::vector<std::unique_ptr<TestEntry>> entries;
    const size_t clients = 1 + random() % 9;
    for (size_t i = 0; i < clients; ++i) {
      const BucketKey key = {0, 500 + 100 * (random() % 6)};
      Push(queue, *entries.emplace_back(MakeEntry("client " + std::to_string(i), 2000, key)));
    }
    Push(queue, *entries.emplace_back(MakeEntry("bulk", 2000, kKey, Priority::kBulk)));
    const size_t batch_size = 1 + random() % 8;
    const auto run_batch = [&] {
      const BucketKey key = Lead(queue);
      for (size_t i = 0; i < batch_size && queue.has(key); ++i) {
        queue.TakeWindow(queue.Next(key), i == 0 ? FairQueue::Place::kLeads : FairQueue::Place::kFills, kNow);
      }
    };
    for (unsigned warm = random() % 50; warm > 0; --warm) run_batch();
    const auto rare = MakeEntry("rare", 1, {0, 999});
    Push(queue, *rare);
    size_t batches = 1;  // one is running
    while (rare->waiting() > 0) {
      run_batch();
      ++batches;
    }
    EXPECT_LE(batches, clients + 1 + 1 + (clients + 6) / 7) << "seed " << seed;
    for (const auto& entry : entries) queue.Remove(*entry);
  }
}

}  // namespace
}  // namespace culturetag
