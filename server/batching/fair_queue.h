// The windows that wait for the device, and whose turn it is.
//
// Fairness is by audio, at three levels:
//   - Classes: while both wait, bulk gets `bulk_share` of the audio and interactive the rest; alone, either gets all.
//   - Clients of a class share by their weights.
//   - A client's requests take turns, window by window.
// The first two are start-time fair queueing (Goyal, Vin, Cheng 1996): a client has a virtual time; the client with the
// smallest is served next, and with each window it moves on by audio / weight; one that was idle starts at the present, the
// virtual time that was served last, so that nobody saves up credit. It is deficit round robin with a quantum of one window
// and without its rounds, which would have to visit every client. Of two clients whose windows of one length wait all the
// time, with weights w1 and w2 and windows of L seconds, the audio served differs, after division by the weights, by at most
// L / w1 + L / w2. Each is within one window, or one for each time that its weight exceeds the mean, of its exact share.
//
// Only windows of one bucket, a model and an exact length, share a batch. The bucket whose next window has the smallest
// virtual time leads; the batch is then filled from that bucket alone. Places that nobody else's windows fit are free: they
// move a client to at most one window after the present.
//
// So neither a rare length nor a common one can starve. Let a client of weight w wait with a window, none of its windows be
// longer than L, and C others of its class wait all the time, with weights w_j and no window shorter than l_j; let no window
// of the class be longer than K, none of the other class be shorter than m, and the other class have a share of s. Then the
// client's next window is scored within
//     (N + M + 3) * t,  N = sum over j of 1 + floor((L / w) / (l_j / w_j)),
//                       M = 1 + floor((N + 1) * (K / (1 - s)) / (m / s)),
// t being what the longest pass takes: another client leads from no earlier than the present until it has passed this one,
// which is at most L / w after the present; of the other class the same holds; one batch may be running, one be staged, and
// the last is its own. With equal weights and lengths, and bulk with an eighth, that is (2C + 4 + floor((2C + 1) / 7)) * t. A
// max_queue_delay adds N + 1 times itself, since a bucket waits for it anew after each of its turns. A client's windows of
// several lengths take turns, too: with B lengths that wait, each has every B-th of its turns.
//
// Pushing, taking and removing an entry take times that don't depend on how many requests or windows wait, but for a factor
// log(clients) + log(lengths); taking moves its client in as many buckets as that client has lengths that wait. Buckets looks
// at every bucket and AudioAhead at every client.
//
// No locks, no clock: thread-compatible.
#ifndef CULTURETAG_BATCHING_FAIR_QUEUE_H_
#define CULTURETAG_BATCHING_FAIR_QUEUE_H_

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "batching/batch_policy.h"

namespace culturetag {

enum class Priority { kInteractive, kBulk };
inline constexpr size_t kPriorityCount = 2;

// What may share a batch: the index of a model, and a window's length in samples.
using BucketKey = std::pair<int, size_t>;

class FairQueue {
 public:
  struct Options {
    // Of the audio, while interactive requests wait, too. In (0, 1). An eighth keeps bulk work going and costs interactive
    // requests at most one batch in eight.
    double bulk_share = 0.125;
    // By client; 1 for those not named. Positive.
    std::map<std::string, double> client_weights;
  };

  class Client;

  // What waits of one request, all of one bucket: windows that are there, and audio that is still being decoded or uploaded.
  // The owner keeps it in place and alive from its first Expect or Push until nothing is left of it.
  class Entry {
   public:
    // `window_audio` is the duration of a window of `key`.
    Entry(BucketKey key, std::string client, Priority priority, absl::Duration window_audio,
          absl::Time deadline = absl::InfiniteFuture())
        : key_(key), client_name_(std::move(client)), priority_(priority), window_audio_(window_audio), deadline_(deadline) {}
    virtual ~Entry() = default;

    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    const BucketKey& key() const { return key_; }
    const std::string& client() const { return client_name_; }
    Priority priority() const { return priority_; }
    absl::Duration window_audio() const { return window_audio_; }
    absl::Time deadline() const { return deadline_; }
    size_t waiting() const { return waiting_; }          // windows
    absl::Duration to_come() const { return to_come_; }  // audio, as far as it is known

   private:
    friend class FairQueue;
    const BucketKey key_;
    const std::string client_name_;
    const Priority priority_;
    const absl::Duration window_audio_;
    const absl::Time deadline_;
    size_t waiting_ = 0;
    absl::Duration to_come_;
    Client* joined_ = nullptr;          // nullptr while nothing of it waits or is to come
    // While windows wait: its place among its client's entries of its bucket, and among the bucket's deadlines.
    std::list<Entry*>::iterator turn_;
    std::multiset<absl::Time>::iterator deadline_place_;
  };

  // Idle clients are kept until the present has caught up with their virtual time, but no more of them than this.
  static constexpr size_t kManyClients = 1024;

  explicit FairQueue(Options options);
  ~FairQueue();

  // Says that `audio` of `entry` is still to come, besides the windows that wait. Each window that is pushed counts against
  // it. Only estimates use it: whose turn it is depends on the windows that are there.
  void Expect(Entry& entry, absl::Duration audio);

  // Queues `windows` > 0 windows more of `entry`.
  void Push(Entry& entry, size_t windows, absl::Time now);

  // Takes all that waits or is to come of `entry` out. No effect if nothing does.
  void Remove(Entry& entry);

  // The entry whose window is next in `key`, which has waiting windows.
  Entry& Next(const BucketKey& key) const;

  // Takes one window of `entry`, which is Next of its bucket: the first one of a batch, or one that fills it.
  enum class Place { kLeads, kFills };
  void TakeWindow(Entry& entry, Place place, absl::Time now);

  bool empty() const { return buckets_.empty(); }
  // Whether a window of that bucket waits.
  bool has(const BucketKey& key) const { return buckets_.count(key) > 0; }
  // The buckets that have windows, in the order of their keys. `max_batch_windows` and the cost of
  // a pass, to be taken off `latest_start`, which is the earliest deadline, are left for the caller to fill in.
  std::vector<std::pair<BucketKey, BucketState>> Buckets() const;

  // Clients of both classes that are remembered, active or not.
  size_t client_count() const { return classes_[0].clients.size() + classes_[1].clients.size(); }

  // The audio, by model, that would be served before the last window of a new request
  // of `client` with `audio` in all. Counts what waits and what is to come, not what the device runs.
  std::map<int, absl::Duration> AudioAhead(const std::string& client, Priority priority, absl::Duration audio) const;

 private:
  // By virtual time, and of clients of the same time the one that is known longer first: not the one that happens to lie
  // first in memory, so that the same requests are always served in the same order.
  struct Earlier {
    bool operator()(const std::pair<double, Client*>& a, const std::pair<double, Client*>& b) const;
  };
  using ClientsByTurn = std::set<std::pair<double, Client*>, Earlier>;

  struct Bucket {
    int waiting_windows = 0;
    absl::Time waiting_since;
    std::multiset<absl::Time> deadlines;  // of the entries with waiting windows
    // By class, the clients with waiting windows of this bucket, by virtual time.
    std::array<ClientsByTurn, kPriorityCount> clients;
  };
  struct Class {
    double virtual_time = 0;  // of the class against the other one
    // The largest virtual time at which a window in turn was taken.
    double present = 0;
    int waiting_windows = 0;
    absl::Duration audio;  // that waits or is to come
    std::map<std::string, std::unique_ptr<Client>> clients;  // joined ones, and idle ones whose virtual time is to come
    size_t sweep_at = kManyClients;                          // with more clients than this, idle ones are forgotten
    std::set<Client*> joined;                     // the clients of whose entries something waits or is to come
    ClientsByTurn active;  // the clients with waiting windows, by virtual time
  };

  Class& ClassOf(Priority priority) { return classes_[static_cast<size_t>(priority)]; }
  const Class& ClassOf(Priority priority) const { return classes_[static_cast<size_t>(priority)]; }
  double ShareOf(Priority priority) const;
  double WeightOf(const std::string& client) const;
  // Makes `entry` known to its client, if it isn't.
  Client& Join(Entry& entry);
  // Lets go of `entry` if nothing is left of it.
  void LeaveIfDone(Entry& entry);
  // Gives `entry`, which has its first waiting window, its turn.
  void Activate(Entry& entry, Client& client);
  // The class that is served next in `bucket`.
  size_t NextClass(const Bucket& bucket) const;
  void SetVirtualTime(Client& client, Priority priority, double virtual_time);
  // Takes `windows` off the account, and `entry` out of its turn if none is left.
  void Account(Entry& entry, size_t windows);
  void ForgetIdleClients(Class& in);

  const Options options_;
  std::map<BucketKey, Bucket> buckets_;  // only those with waiting windows
  std::array<Class, kPriorityCount> classes_;
  double present_ = 0;             // of the classes against each other, likewise
  uint64_t turns_ = 0;             // windows taken so far
  uint64_t clients_met_ = 0;       // so far
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_FAIR_QUEUE_H_
