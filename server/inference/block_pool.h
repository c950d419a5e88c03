// Memory for tensors on a CPU: blocks that are used again, in huge pages.
//
// A pass over one window of a full-size model takes and returns some 300 MB in blocks of up to 50 MB. malloc gives blocks of
// that size back to the system, which clears each page anew at its next use, and takes pages of 4 KB, of which the
// processor can look up few at once. That cost a pass more than a fifth of its time; tests/bench/forward has the figures.
//
// The pool takes chunks of memory from the system and never gives them back: what the largest pass needed, the next one
// needs again. A request gets the smallest free block that is large enough, and neighbouring free blocks join, so clips of
// ever new lengths don't make it grow without end.
//
// Thread-safe.
#ifndef CULTURETAG_INFERENCE_BLOCK_POOL_H_
#define CULTURETAG_INFERENCE_BLOCK_POOL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace culturetag {

class BlockPool {
 public:
  // What a block's address and size are multiples of: a cache line, and the widest vector.
  static constexpr size_t kAlignment = 64;
  // What the pool takes from the system at once, unless a block needs more. Pages that no block has touched cost nothing.
  static constexpr size_t kChunkBytes = size_t{64} << 20;

  struct Usage {
    int64_t allocated = 0;  // bytes in blocks that are in use
    int64_t reserved = 0;   // bytes of all chunks
  };

  BlockPool() = default;
  // Gives the chunks back. No block may be in use.
  ~BlockPool();

  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A block of at least `bytes` bytes, at least 1, with any content; null if the system has no memory.
  void* Allocate(size_t bytes);
  // Takes back what Allocate returned; false, without a change, for any other address.
  bool Free(void* block);

  Usage usage() const;

 private:
  bool Grow(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddFree(char* start, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveFree(std::map<char*, size_t>::iterator block) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<char*, size_t> free_by_address_ ABSL_GUARDED_BY(mutex_);               // no two are neighbours
  std::set<std::pair<size_t, char*>> free_by_size_ ABSL_GUARDED_BY(mutex_);       // the same blocks
  absl::flat_hash_map<char*, size_t> used_ ABSL_GUARDED_BY(mutex_);
  std::map<char*, size_t> chunks_ ABSL_GUARDED_BY(mutex_);
  Usage usage_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_INFERENCE_BLOCK_POOL_H_
