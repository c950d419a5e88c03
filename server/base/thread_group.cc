#include "base/thread_group.h"

#include <system_error>
#include <utility>

namespace culturetag {

ThreadGroup::~ThreadGroup() {
  std::list<Member> members;
  {
    // Spliced, so that the threads find their members where they were.
    absl::MutexLock lock(&mutex_);
    members.splice(members.end(), members_);
  }
  for (Member& member : members) member.thread.join();
}

bool ThreadGroup::TryStart(Work work) {
  std::list<Member> ended;  // joined when the lock is released
  bool started = false;
  {
    absl::MutexLock lock(&mutex_);
    ended = Ended();
    if (members_.size() < max_threads_) {
      Member& member = members_.emplace_back();
      try {
        member.thread = std::thread([this, &member, work = std::move(work)]() mutable {
          std::move(work)();
          work = nullptr;
          absl::MutexLock end(&mutex_);
          member.ended = true;
        });
        started = true;
      } catch (const std::system_error&) {
        members_.pop_back();
      }
    }
  }
  for (Member& member : ended) member.thread.join();
  return started;
}

std::list<ThreadGroup::Member> ThreadGroup::Ended() {
  std::list<Member> ended;
  for (auto member = members_.begin(); member != members_.end();) {
    const auto next = std::next(member);
    if (member->ended) ended.splice(ended.end(), members_, member);
    member = next;
  }
  return ended;
}

}  // namespace culturetag
