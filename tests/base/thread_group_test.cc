#include "base/thread_group.h"

#include <atomic>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(ThreadGroupTest, RunsEachWorkOnItsOwnThread) {
  absl::Notification first, second;
  ThreadGroup group(2);
  // Each waits for the other: one thread for both would hang.
  ASSERT_TRUE(group.TryStart([&] {
    first.Notify();
    second.WaitForNotification();
  }));
  ASSERT_TRUE(group.TryStart([&] {
    second.Notify();
    first.WaitForNotification();
  }));
}

TEST(ThreadGroupTest, RefusesMoreThanItMayHave) {
  absl::Notification end;
  ThreadGroup group(1);
  ASSERT_TRUE(group.TryStart([&] { end.WaitForNotification(); }));
  EXPECT_FALSE(group.TryStart([] {}));
  end.Notify();
}

TEST(ThreadGroupTest, HasRoomAgainOnceAThreadHasEnded) {
  ThreadGroup group(1);
  for (int i = 0; i < 100; ++i) {
    while (!group.TryStart([] {})) std::this_thread::yield();
  }
}

TEST(ThreadGroupTest, JoinsBeforeItIsGone) {
  std::atomic<int> ended{0};
  {
    ThreadGroup group(8);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(group.TryStart([&] { ++ended; }));
  }
  EXPECT_EQ(ended, 8);
}

}  // namespace
}  // namespace culturetag
