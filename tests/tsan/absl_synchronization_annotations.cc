// Tells ThreadSanitizer about Abseil's locks. The distribution's Abseil isn't built with it, so that TSan sees neither its
// Mutex nor its Notification, and takes everything that they guard for a race. The definitions here come before the shared
// library's when a test is linked; each does what the library does and draws the happens-before edge around it.
//
// Linked into every test of the `tsan` preset, and into nothing else.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/base/config.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

// Of TSan's runtime; in no header.
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);

// A Status that two threads share counts its references inside the library, where TSan doesn't see the order that the counter
// makes between the last reader and the one that deletes.
// The payloads go with a Status that is shared; GraphCycles, which finds deadlocks, has a lock of its own that TSan can't see.
extern "C" const char* __tsan_default_suppressions() {
  return "race:Status::Unref\n"
         "race:status_internal::Payload\n"
         "race:GraphCycles\n";
}

namespace {

#define CULTURETAG_STRING_(x) #x
#define CULTURETAG_STRING(x) CULTURETAG_STRING_(x)

// The library's member function whose mangled name is `prefix`, absl's versioned namespace and `suffix`.
template <typename Function>
Function* Library(const char* suffix, const char* prefix = "_ZN") {
  const char* const version = CULTURETAG_STRING(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string name = std::string(prefix) + "4absl" + std::to_string(std::strlen(version)) + version + suffix;
  void* const symbol = dlsym(RTLD_NEXT, name.c_str());
  if (symbol == nullptr) {
    std::fprintf(stderr, "%s is not in Abseil's shared library; mend tests/tsan\n", name.c_str());
    std::abort();
  }
  return reinterpret_cast<Function*>(symbol);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static auto* const lock = Library<void(Mutex*)>("5Mutex4LockEv");
  lock(this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static auto* const unlock = Library<void(Mutex*)>("5Mutex6UnlockEv");
  __tsan_release(this);
  // The library evaluates the conditions of waiting threads before it lets go of the lock, which TSan can't know.
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  unlock(this);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

void Mutex::Await(const Condition& condition) {
  static auto* const await = Library<void(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  await(this, condition);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const await =
      Library<bool(Mutex*, const Condition&, Duration)>("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  __tsan_release(this);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  const bool holds = await(this, condition, timeout);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(this);
  return holds;
}

void Notification::Notify() {
  static auto* const notify = Library<void(Notification*)>("12Notification6NotifyEv");
  __tsan_release(this);
  // HasBeenNotified is inline: it reads the flag, which stands after the mutex, with acquire.
  __tsan_release(reinterpret_cast<char*>(this) + sizeof(Mutex));
  notify(this);
}

void Notification::WaitForNotification() const {
  static auto* const wait = Library<void(const Notification*)>("12Notification19WaitForNotificationEv", "_ZNK");
  wait(this);
  __tsan_acquire(const_cast<Notification*>(this));
}

bool BlockingCounter::DecrementCount() {
  static auto* const decrement = Library<bool(BlockingCounter*)>("15BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  return decrement(this);
}

void BlockingCounter::Wait() {
  static auto* const wait = Library<void(BlockingCounter*)>("15BlockingCounter4WaitEv");
  wait(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
