#include "batching/fair_queue.h"

#include <algorithm>
#include <tuple>

namespace culturetag {
class FairQueue::Client {
 public:
  // Its entries in one bucket.
  struct Turns {
    std::list<Entry*> entries;  // the front one is next
    uint64_t last_turn = 0;     // when a window was last taken of them, or they came
  };

  Client(std::string name_in, double weight_in, uint64_t number_in)
      : name(std::move(name_in)), weight(weight_in), number(number_in) {}

  const std::string name;
  const double weight;
  const uint64_t number;  // of all clients, in the order in which they were met
  double virtual_time = 0;
  int entry_count = 0;         // of which something waits or is to come
  int active_entry_count = 0;  // of which windows wait
  std::map<int, absl::Duration> audio;  // that waits or is to come, by model
  std::map<BucketKey, Turns> buckets;   // only those with waiting windows
};

bool FairQueue::Earlier::operator()(const std::pair<double, Client*>& a, const std::pair<double, Client*>& b) const {
  return std::tie(a.first, a.second->number) < std::tie(b.first, b.second->number);
}

FairQueue::FairQueue(Options options) : options_(std::move(options)) {}
FairQueue::~FairQueue() = default;

void FairQueue::Expect(Entry& entry, absl::Duration audio) {
  Client& client = Join(entry);
  const absl::Duration change = audio - entry.to_come_;
  entry.to_come_ = audio;
  client.audio[entry.key_.first] += change;
  ClassOf(entry.priority_).audio += change;
  LeaveIfDone(entry);
}

void FairQueue::Push(Entry& entry, size_t windows, absl::Time now) {
  Client& client = Join(entry);
  const absl::Duration audio = entry.window_audio_ * static_cast<int64_t>(windows);
  const absl::Duration expected = std::min(entry.to_come_, audio);
  entry.to_come_ -= expected;
  client.audio[entry.key_.first] += audio - expected;
  Class& in = ClassOf(entry.priority_);
  in.audio += audio - expected;

  Bucket& bucket = buckets_[entry.key_];
  if (bucket.waiting_windows == 0) bucket.waiting_since = now;
  if (entry.waiting_ == 0) Activate(entry, client);
  entry.waiting_ += windows;
  in.waiting_windows += static_cast<int>(windows);
  bucket.waiting_windows += static_cast<int>(windows);
}

FairQueue::Client& FairQueue::Join(Entry& entry) {
  if (entry.joined_ != nullptr) return *entry.joined_;
  Class& in = ClassOf(entry.priority_);
  if (in.clients.size() > in.sweep_at) ForgetIdleClients(in);
  std::unique_ptr<Client>& client = in.clients[entry.client_name_];
  if (client == nullptr) client = std::make_unique<Client>(entry.client_name_, WeightOf(entry.client_name_), ++clients_met_);
  if (client->entry_count++ == 0) in.joined.insert(client.get());
  entry.joined_ = client.get();
  return *client;
}

void FairQueue::LeaveIfDone(Entry& entry) {
  if (entry.joined_ == nullptr || entry.waiting_ > 0 || entry.to_come_ > absl::ZeroDuration()) return;
  if (--entry.joined_->entry_count == 0) ClassOf(entry.priority_).joined.erase(entry.joined_);
  entry.joined_ = nullptr;
}

void FairQueue::Activate(Entry& entry, Client& client) {
  Class& in = ClassOf(entry.priority_);
  // A class or a client that was idle starts at the present.
  if (in.waiting_windows == 0) in.virtual_time = std::max(in.virtual_time, present_);
  if (client.active_entry_count++ == 0) {
    client.virtual_time = std::max(client.virtual_time, in.present);
    in.active.insert({client.virtual_time, &client});
  }
  // A bucket that was empty comes after those that have waited since their last turn, or one that empties and fills between
  // two passes would hold them up for ever.
  Client::Turns& turns = client.buckets.try_emplace(entry.key_, Client::Turns{{}, turns_}).first->second;
  entry.turn_ = turns.entries.insert(turns.entries.end(), &entry);
  Bucket& bucket = buckets_.at(entry.key_);
  bucket.clients[static_cast<size_t>(entry.priority_)].insert({client.virtual_time, &client});
  entry.deadline_place_ = bucket.deadlines.insert(entry.deadline_);
}

void FairQueue::Remove(Entry& entry) {
  if (entry.joined_ == nullptr) return;
  Expect(entry, absl::ZeroDuration());
  if (entry.waiting_ > 0) Account(entry, entry.waiting_);
}

FairQueue::Entry& FairQueue::Next(const BucketKey& key) const {
  const Bucket& bucket = buckets_.at(key);
  const Client& client = *bucket.clients[NextClass(bucket)].begin()->second;
  return *client.buckets.at(key).entries.front();
}

void FairQueue::TakeWindow(Entry& entry, Place place, absl::Time now) {
  Client& client = *entry.joined_;
  Class& in = ClassOf(entry.priority_);
  const double audio = absl::ToDoubleSeconds(entry.window_audio_);
  // A window out of turn, which fills a batch that another client leads, moves no present; and it is free for its class:
  // it must not cost another of its clients a turn. One that leads is always in turn: an earlier client's bucket may not be
  // ripe, and if the leader weren't charged, nor the present moved, the same client could lead all the time.
  if (place == Place::kLeads || client.virtual_time <= in.active.begin()->first) {
    in.present = std::max(in.present, client.virtual_time);
    const Class& other = classes_[1 - static_cast<size_t>(entry.priority_)];
    if (other.waiting_windows == 0 || in.virtual_time <= other.virtual_time) present_ = in.virtual_time;
    in.virtual_time = present_ + audio / ShareOf(entry.priority_);
  }
  SetVirtualTime(client, entry.priority_, std::max(client.virtual_time, in.present + audio / client.weight));

  Client::Turns& turns = client.buckets.at(entry.key_);
  turns.last_turn = ++turns_;
  turns.entries.splice(turns.entries.end(), turns.entries, entry.turn_);
  buckets_.at(entry.key_).waiting_since = now;
  Account(entry, 1);

  // Idle time begins where the last window ends: who comes next starts level with who was served last.
  if (in.active.empty()) in.present = std::max(in.present, client.virtual_time);
  if (empty()) present_ = std::max(present_, in.virtual_time);
}

void FairQueue::Account(Entry& entry, size_t windows) {
  Client& client = *entry.joined_;
  const auto count = static_cast<int>(windows);
  const absl::Duration audio = entry.window_audio_ * count;
  const auto priority = static_cast<size_t>(entry.priority_);
  entry.waiting_ -= windows;
  client.audio[entry.key_.first] -= audio;
  Class& in = ClassOf(entry.priority_);
  in.waiting_windows -= count;
  in.audio -= audio;
  const auto bucket = buckets_.find(entry.key_);
  bucket->second.waiting_windows -= count;

  if (entry.waiting_ == 0) {
    const auto turns = client.buckets.find(entry.key_);
    turns->second.entries.erase(entry.turn_);
    bucket->second.deadlines.erase(entry.deadline_place_);
    if (--client.active_entry_count == 0) in.active.erase({client.virtual_time, &client});
    if (turns->second.entries.empty()) {
      bucket->second.clients[priority].erase({client.virtual_time, &client});
      client.buckets.erase(turns);
    }
  }
  if (bucket->second.waiting_windows == 0) buckets_.erase(bucket);
  LeaveIfDone(entry);
}

std::vector<std::pair<BucketKey, BucketState>> FairQueue::Buckets() const {
  std::vector<std::pair<BucketKey, BucketState>> states;
  states.reserve(buckets_.size());
  for (const auto& [key, bucket] : buckets_) {
    const size_t priority = NextClass(bucket);
    const auto& [virtual_time, client] = *bucket.clients[priority].begin();
    BucketState state;
    state.waiting_windows = bucket.waiting_windows;
    state.waiting_since = bucket.waiting_since;
    state.latest_start = *bucket.deadlines.begin();
    state.turn = {classes_[priority].virtual_time, virtual_time, client->buckets.at(key).last_turn};
    states.push_back({key, state});
  }
  return states;
}

std::map<int, absl::Duration> FairQueue::AudioAhead(const std::string& client, Priority priority, absl::Duration audio) const {
  std::map<int, absl::Duration> ahead;
  const double weight = WeightOf(client);
  absl::Duration interactive;
  // What this client is served until the new request is done: the request, and of its other entries, which take turns with
  // it, as much of each. Meanwhile another client gets as much by weight.
  absl::Duration served = audio;
  for (const Client* own : ClassOf(priority).joined) {
    if (own->name != client) continue;
    for (const auto& [model, waiting] : own->audio) served += std::min(waiting, audio * own->entry_count);
  }
  const auto add = [&](const Client& other, absl::Duration limit) {
    for (const auto& [model, waiting] : other.audio) {
      if (waiting <= absl::ZeroDuration()) continue;
      ahead[model] += std::min(waiting, limit);
      interactive += std::min(waiting, limit);
    }
  };
  for (const Client* other : ClassOf(priority).joined) {
    add(*other, other->name == client ? audio * other->entry_count : served * (other->weight / weight));
  }
  const Class& bulk = ClassOf(Priority::kBulk);
  if (priority == Priority::kBulk) {
    for (const Client* other : ClassOf(Priority::kInteractive).joined) add(*other, absl::InfiniteDuration());
  } else if (bulk.audio > absl::ZeroDuration()) {
    // Bulk takes its share of the time beside them.
    const absl::Duration share = (interactive + audio) * (options_.bulk_share / (1 - options_.bulk_share));
    for (const Client* other : bulk.joined) {
      for (const auto& [model, waiting] : other->audio) {
        ahead[model] += std::min(waiting, share * absl::FDivDuration(waiting, bulk.audio));
      }
    }
  }
  return ahead;
}

double FairQueue::ShareOf(Priority priority) const {
  return priority == Priority::kBulk ? options_.bulk_share : 1 - options_.bulk_share;
}

double FairQueue::WeightOf(const std::string& client) const {
  const auto found = options_.client_weights.find(client);
  return found == options_.client_weights.end() ? 1.0 : found->second;
}

size_t FairQueue::NextClass(const Bucket& bucket) const {
  const auto interactive = static_cast<size_t>(Priority::kInteractive);
  const auto bulk = static_cast<size_t>(Priority::kBulk);
  if (bucket.clients[bulk].empty()) return interactive;
  if (bucket.clients[interactive].empty()) return bulk;
  return classes_[bulk].virtual_time < classes_[interactive].virtual_time ? bulk : interactive;
}

void FairQueue::SetVirtualTime(Client& client, Priority priority, double virtual_time) {
  const auto move = [&](ClientsByTurn& clients) {
    clients.erase({client.virtual_time, &client});
    clients.insert({virtual_time, &client});
  };
  for (const auto& [key, turns] : client.buckets) move(buckets_.at(key).clients[static_cast<size_t>(priority)]);
  move(ClassOf(priority).active);
  client.virtual_time = virtual_time;
}

void FairQueue::ForgetIdleClients(Class& in) {
  std::vector<std::pair<double, std::string>> idle;
  for (const auto& [name, client] : in.clients) {
    if (client->entry_count == 0) idle.push_back({client->virtual_time, name});
  }
  std::sort(idle.begin(), idle.end());
  // Those that are owed nothing; and of the others those that wait least, if there are too many names to remember.
  for (size_t i = 0; i < idle.size(); ++i) {
    if (idle[i].first <= in.present || idle.size() - i > kManyClients / 2) in.clients.erase(idle[i].second);
  }
  in.sweep_at = std::max(kManyClients, 2 * in.clients.size());  // so that sweeps cost little for each new client
}

}  // namespace culturetag
