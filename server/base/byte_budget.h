// A bound on the bytes that all requests together hold.
//
// Thread-safe; lock-free.
#ifndef CULTURETAG_BASE_BYTE_BUDGET_H_
#define CULTURETAG_BASE_BYTE_BUDGET_H_

#include <atomic>
#include <cstdint>

namespace culturetag {

class ByteBudget {
 public:
  // `limit` >= 0 bytes.
  explicit ByteBudget(int64_t limit) : left_(limit) {}

  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // Takes `bytes` >= 0 and returns true, or takes nothing and returns false if fewer are left.
  bool TryTake(int64_t bytes) {
    int64_t left = left_.load(std::memory_order_relaxed);
    do {
      if (left < bytes) return false;
    } while (!left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed));
    return true;
  }

  // Gives back what TryTake took.
  void Give(int64_t bytes) { left_.fetch_add(bytes, std::memory_order_relaxed); }

  int64_t left() const { return left_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> left_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BASE_BYTE_BUDGET_H_
