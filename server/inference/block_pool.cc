#include "inference/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <limits>

namespace culturetag {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

constexpr size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// `bytes` bytes, a multiple of kHugePageBytes, that start at a huge page's boundary; null if the system has none.
char* TakeFromSystem(size_t bytes) {
  const size_t taken = bytes + kHugePageBytes;
  void* const memory = mmap(nullptr, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  char* const start = static_cast<char*>(memory);
  const size_t skipped = RoundUp(reinterpret_cast<uintptr_t>(start), kHugePageBytes) - reinterpret_cast<uintptr_t>(start);
  if (skipped > 0) munmap(start, skipped);
  if (skipped < kHugePageBytes) munmap(start + skipped + bytes, kHugePageBytes - skipped);
  madvise(start + skipped, bytes, MADV_HUGEPAGE);  // A system without them gives its usual pages.
  return start + skipped;
}

}  // namespace

BlockPool::~BlockPool() {
  absl::MutexLock lock(&mutex_);
  assert(used_.empty());
  for (const auto& [start, bytes] : chunks_) munmap(start, bytes);
}

void* BlockPool::Allocate(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 2) return nullptr;
  const size_t wanted = RoundUp(std::max<size_t>(bytes, 1), kAlignment);
  absl::MutexLock lock(&mutex_);
  auto best = free_by_size_.lower_bound({wanted, nullptr});
  if (best == free_by_size_.end()) {
    if (!Grow(wanted)) return nullptr;
    best = free_by_size_.lower_bound({wanted, nullptr});
  }
  const auto [size, start] = *best;
  RemoveFree(free_by_address_.find(start));
  if (size > wanted) AddFree(start + wanted, size - wanted);
  used_[start] = wanted;
  usage_.allocated += static_cast<int64_t>(wanted);
  return start;
}

bool BlockPool::Free(void* block) {
  absl::MutexLock lock(&mutex_);
  const auto used = used_.find(static_cast<char*>(block));
  if (used == used_.end()) return false;
  const auto [start, bytes] = *used;
  used_.erase(used);
  usage_.allocated -= static_cast<int64_t>(bytes);
  AddFree(start, bytes);
  return true;
}

BlockPool::Usage BlockPool::usage() const {
  absl::MutexLock lock(&mutex_);
  return usage_;
}

bool BlockPool::Grow(size_t bytes) {
  const size_t chunk = RoundUp(std::max(bytes, kChunkBytes), kHugePageBytes);
  char* const start = TakeFromSystem(chunk);
  if (start == nullptr) return false;
  chunks_[start] = chunk;
  usage_.reserved += static_cast<int64_t>(chunk);
  AddFree(start, chunk);
  return true;
}

// Joins the block with its free neighbours, also with those of a chunk that happens to lie beside its own.
void BlockPool::AddFree(char* start, size_t bytes) {
  auto next = free_by_address_.lower_bound(start);
  if (next != free_by_address_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == start) {
      start = previous->first;
      bytes += previous->second;
      RemoveFree(previous);
    }
  }
  if (next != free_by_address_.end() && start + bytes == next->first) {
    bytes += next->second;
    RemoveFree(next);
  }
  free_by_address_[start] = bytes;
  free_by_size_.insert({bytes, start});
}

void BlockPool::RemoveFree(std::map<char*, size_t>::iterator block) {
  free_by_size_.erase({block->second, block->first});
  free_by_address_.erase(block);
}

}  // namespace culturetag
