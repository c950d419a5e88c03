// Results by key, as many as fit into so many bytes; the one that wasn't asked for the longest goes first.
//
// Thread-compatible.
#ifndef CULTURETAG_SERVICE_RESULT_STORE_H_
#define CULTURETAG_SERVICE_RESULT_STORE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace culturetag {

template <typename Result>
class ResultStore {
 public:
  explicit ResultStore(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // Nothing, or the result, which counts as asked for now.
  std::shared_ptr<const Result> Get(absl::string_view key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front().result;
  }

  // Keeps `result`, which takes `bytes` of memory, and returns how many others had to go. One that wouldn't fit alone isn't
  // kept. `key` must not be there.
  int Put(std::string key, std::shared_ptr<const Result> result, int64_t bytes) {
    bytes += static_cast<int64_t>(2 * key.size()) + kEntryBytes;
    if (bytes > max_bytes_) return 0;
    entries_.push_front({key, std::move(result), bytes});
    places_.emplace(std::move(key), entries_.begin());
    bytes_ += bytes;
    int evicted = 0;
    for (; bytes_ > max_bytes_; ++evicted) {
      bytes_ -= entries_.back().bytes;
      places_.erase(entries_.back().key);
      entries_.pop_back();
    }
    return evicted;
  }

  int64_t bytes() const { return bytes_; }

 private:
  static constexpr int64_t kEntryBytes = 128;  // of the list and the map, about

  struct Entry {
    std::string key;
    std::shared_ptr<const Result> result;
    int64_t bytes;
  };

  const int64_t max_bytes_;
  int64_t bytes_ = 0;
  std::list<Entry> entries_;  // the one asked for last comes first
  absl::flat_hash_map<std::string, typename std::list<Entry>::iterator> places_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_RESULT_STORE_H_
