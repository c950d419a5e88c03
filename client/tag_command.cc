#include "client/tag_command.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "client/audio_file.h"
#include "client/render_json.h"
#include "client/render_text.h"

namespace culturetag::client {
namespace {

// How many outcomes may wait for that of a slow file before them. Keeps memory bounded over any number of files.
constexpr std::size_t kMaxUnprinted = 256;

// Writes outcomes in the chosen form, each as soon as it comes.
class Printer {
 public:
  Printer(const TagOptions& options, const Console& console)
      : json_(options.json), outcomes_left_(options.files.size()), console_(console) {
    if (json_) console_.out << "[\n";
  }

  void Print(const std::string& file, const Outcome<v1::TagResponse>& outcome) {
    --outcomes_left_;
    if (const auto* const failure = std::get_if<Failure>(&outcome)) {
      all_worked_ = false;
      console_.err << FailureText(file, *failure) << std::flush;
      if (json_) PrintElement(FailureJson(file, *failure));
    } else if (json_) {
      PrintElement(TagsJson(file, std::get<v1::TagResponse>(outcome)));
    } else {
      console_.out << separator_ << TagsText(file, std::get<v1::TagResponse>(outcome), console_.style) << std::flush;
      separator_ = "\n";
    }
  }

  // Ends the output and returns the exit code.
  int Finish() {
    if (json_) console_.out << "]\n";
    return all_worked_ ? 0 : 1;
  }

 private:
  void PrintElement(const std::string& json) {
    console_.out << json << (outcomes_left_ > 0 ? ",\n" : "\n") << std::flush;
  }

  const bool json_;
  std::size_t outcomes_left_;
  const Console& console_;
  bool all_worked_ = true;
  const char* separator_ = "";  // before the next file's text
};

// One run of the command. The calling thread reads, sends and prints; gRPC's threads only hand in outcomes.
class TagRun {
 public:
  TagRun(const TagOptions& options, TaggingClient& client, const Console& console)
      : options_(options), client_(client), console_(console), printer_(options, console) {}

  // Returns the exit code. Waits for every call that it started.
  int Run() {
    for (const std::string& file : options_.files) {
      AwaitRoomFor(0);
      PrintFinished();
      Start(file);
    }
    while (!entries_.empty()) PrintFirst();
    return printer_.Finish();
  }

 private:
  struct Entry {
    const std::string& file;
    absl::optional<Outcome<v1::TagResponse>> outcome;  // guarded by mutex_
  };

  // Reads `file` and sends it, or enters why that can't be.
  void Start(const std::string& file);
  void Send(Entry& entry, std::string bytes);
  std::unique_ptr<v1::TagRequest> MakeRequest(std::string bytes) const;
  void HandIn(Entry& entry, Outcome<v1::TagResponse> outcome) ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until a call with `bytes` of audio may be started.
  void AwaitRoomFor(std::size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until the first entry has its outcome, prints it and drops the entry.
  void PrintFirst() ABSL_LOCKS_EXCLUDED(mutex_);
  // Prints what can be printed in order without waiting, and more where too much has piled up behind a slow file.
  void PrintFinished() ABSL_LOCKS_EXCLUDED(mutex_);

  const TagOptions& options_;
  TaggingClient& client_;
  const Console& console_;
  Printer printer_;
  std::deque<Entry> entries_;  // started and not yet printed, in the order given; this thread's, save for the outcomes

  absl::Mutex mutex_;
  int calls_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t bytes_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  // The failure of the first file that found no server, until any other outcome shows that there is one.
  absl::optional<Failure> no_server_ ABSL_GUARDED_BY(mutex_);
  bool server_seen_ ABSL_GUARDED_BY(mutex_) = false;
};

void TagRun::Start(const std::string& file) {
  Entry& entry = entries_.emplace_back(Entry{file, {}});
  Outcome<std::string> bytes = ReadAudioFile(file, console_.in);
  if (auto* const failure = std::get_if<Failure>(&bytes)) {
    HandIn(entry, std::move(*failure));
  } else {
    Send(entry, std::get<std::string>(std::move(bytes)));
  }
}

void TagRun::Send(Entry& entry, std::string bytes) {
  const std::size_t size = bytes.size();
  AwaitRoomFor(size);
  {
    absl::MutexLock lock(&mutex_);
    if (no_server_.has_value() && !server_seen_) {
      entry.outcome = *no_server_;
      return;
    }
    ++calls_in_flight_;
    bytes_in_flight_ += size;
  }
  client_.Tag(MakeRequest(std::move(bytes)), [this, &entry, size](Outcome<v1::TagResponse> outcome) {
    absl::MutexLock lock(&mutex_);
    --calls_in_flight_;
    bytes_in_flight_ -= size;
    const Failure* const failure = std::get_if<Failure>(&outcome);
    if (failure != nullptr && failure->server_unreachable) {
      no_server_ = *failure;
    } else {
      server_seen_ = true;
    }
    entry.outcome = std::move(outcome);
  });
}

std::unique_ptr<v1::TagRequest> TagRun::MakeRequest(std::string bytes) const {
  auto request = std::make_unique<v1::TagRequest>();
  request->mutable_audio()->set_encoded(std::move(bytes));
  request->set_model(options_.model);
  request->mutable_heads()->Add(options_.heads.begin(), options_.heads.end());
  request->set_top_k(options_.top_k);
  request->set_min_score(options_.min_score);
  request->set_include_windows(options_.include_windows);
  request->set_priority(options_.priority);
  return request;
}

void TagRun::HandIn(Entry& entry, Outcome<v1::TagResponse> outcome) {
  absl::MutexLock lock(&mutex_);
  entry.outcome = std::move(outcome);
}

void TagRun::AwaitRoomFor(std::size_t bytes) {
  const auto has_room = [this, bytes] {
    mutex_.AssertHeld();
    return calls_in_flight_ == 0 ||
           (calls_in_flight_ < options_.concurrency && bytes_in_flight_ + bytes <= options_.max_bytes_in_flight);
  };
  mutex_.LockWhen(absl::Condition(&has_room));
  mutex_.Unlock();
}

void TagRun::PrintFirst() {
  Entry& entry = entries_.front();
  mutex_.LockWhen(absl::Condition(
      +[](Entry* first) { return first->outcome.has_value(); }, &entry));
  const Outcome<v1::TagResponse> outcome = *std::move(entry.outcome);
  mutex_.Unlock();
  printer_.Print(entry.file, outcome);
  entries_.pop_front();
}

void TagRun::PrintFinished() {
  const auto first_is_finished = [this] {
    absl::MutexLock lock(&mutex_);
    return entries_.front().outcome.has_value();
  };
  while (!entries_.empty() && (entries_.size() >= kMaxUnprinted || first_is_finished())) PrintFirst();
}

}  // namespace

int RunTag(const TagOptions& options, TaggingClient& client, const Console& console) {
  return TagRun(options, client, console).Run();
}

}  // namespace culturetag::client
