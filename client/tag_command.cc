#include "client/tag_command.h"

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "client/adaptive_limit.h"
#include "client/audio_file.h"
#include "client/file_list.h"
#include "client/proto_duration.h"
#include "client/render_text.h"
#include "client/result_file.h"
#include "client/tag_output.h"

namespace culturetag::client {
namespace {

constexpr int kExitInterrupted = 130;  // as shells report SIGINT

// How many outcomes may wait for that of a slow file before them. Keeps memory bounded over any number of files.
constexpr std::size_t kMaxUnprinted = 256;

// What a stream holds of its file: a chunk here, as a message, and on gRPC's way to the socket.
constexpr std::size_t kStreamBytes = std::size_t{4} << 20;

// One run of the command. The calling thread reads, sends and prints; other threads only hand in outcomes.
class TagRun {
 public:
  // All must outlive it.
  TagRun(const TagOptions& options, TaggingClient& client, const Console& console, TagOutput& output)
      : options_(options), client_(client), console_(console), output_(output), limit_(options.concurrency) {}

  // Hands every file's outcome to the output, except those that Ctrl-C kept from being sent. Returns whether there are
  // such. Waits for every call that it started.
  bool Run(const FileList& list) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    const std::string& file;
    absl::optional<Outcome<v1::TagResponse>> outcome;  // guarded by mutex_
    std::thread stream;                                // that of a file that goes by TagStream
  };

  // Reads `file` and sends it, or enters why that can't be.
  void Start(const std::string& file);
  void SendWhole(Entry& entry, std::string bytes);
  void SendStream(Entry& entry, AudioInput audio);
  // Waits for room and takes it. Returns false where there is no server; the outcome then is entered.
  bool TakeRoom(Entry& entry, std::size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  // The outcome of a call that had taken room for `bytes`.
  void HandIn(Entry& entry, std::size_t bytes, Outcome<v1::TagResponse> outcome) ABSL_LOCKS_EXCLUDED(mutex_);
  void AdaptLimit(const Outcome<v1::TagResponse>& outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool interrupted() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return interrupted_;
  }

  // Blocks until a call with `bytes` of audio may be started.
  void AwaitRoomFor(std::size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  // The entry to print next, once it has an outcome; end() while there is none.
  std::list<Entry>::iterator NextPrintable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Blocks until there is one, prints it and drops the entry.
  void PrintNext() ABSL_LOCKS_EXCLUDED(mutex_);
  // Prints what can be printed without waiting, and more where too much has piled up behind a slow file.
  void PrintFinished() ABSL_LOCKS_EXCLUDED(mutex_);

  const TagOptions& options_;
  TaggingClient& client_;
  const Console& console_;
  TagOutput& output_;
  std::list<Entry> entries_;  // started and not yet printed, in the order given; this thread's, save for the outcomes

  absl::Mutex mutex_;
  AdaptiveLimit limit_ ABSL_GUARDED_BY(mutex_);
  int calls_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t bytes_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  // The failure of the first file that found no server, until any other outcome shows that there is one.
  absl::optional<Failure> no_server_ ABSL_GUARDED_BY(mutex_);
  bool server_seen_ ABSL_GUARDED_BY(mutex_) = false;
};

bool TagRun::Run(const FileList& list) {
  const Interrupts::Listener listener(console_.interrupts, [this] {
    absl::MutexLock lock(&mutex_);
    interrupted_ = true;
  });
  std::size_t started = 0;
  for (const std::string& file : list.files) {
    AwaitRoomFor(0);
    PrintFinished();
    if (interrupted()) break;
    ++started;
    if (const auto failure = list.failures.find(file); failure != list.failures.end()) {
      entries_.push_back({file, failure->second, {}});
    } else {
      Start(file);
    }
  }
  while (!entries_.empty()) PrintNext();
  return started < list.files.size();
}

void TagRun::Start(const std::string& file) {
  Entry& entry = entries_.emplace_back(Entry{file, {}, {}});
  Outcome<AudioInput> input = OpenAudioFile(file, console_.in, options_.stream_above_bytes);
  if (auto* const failure = std::get_if<Failure>(&input)) {
    absl::MutexLock lock(&mutex_);
    entry.outcome = std::move(*failure);
  } else if (auto& audio = std::get<AudioInput>(input); audio.rest != nullptr) {
    SendStream(entry, std::move(audio));
  } else {
    SendWhole(entry, std::move(audio.bytes));
  }
}

void TagRun::SendWhole(Entry& entry, std::string bytes) {
  const std::size_t size = bytes.size();
  if (!TakeRoom(entry, size)) return;
  auto request = std::make_unique<v1::TagRequest>(MakeTagRequest(options_));
  request->mutable_audio()->set_encoded(std::move(bytes));
  client_.Tag(std::move(request), [this, &entry, size](Outcome<v1::TagResponse> outcome) {
    HandIn(entry, size, std::move(outcome));
  });
}

void TagRun::SendStream(Entry& entry, AudioInput audio) {
  if (!TakeRoom(entry, kStreamBytes)) return;
  entry.stream = std::thread([this, &entry, audio = std::move(audio)] {
    HandIn(entry, kStreamBytes, client_.TagStream(MakeStreamConfig(options_), audio, [](const v1::WindowResult&) {}));
  });
}

bool TagRun::TakeRoom(Entry& entry, std::size_t bytes) {
  AwaitRoomFor(bytes);
  absl::MutexLock lock(&mutex_);
  if (no_server_.has_value() && !server_seen_) {
    entry.outcome = *no_server_;
    return false;
  }
  ++calls_in_flight_;
  bytes_in_flight_ += bytes;
  return true;
}

void TagRun::HandIn(Entry& entry, std::size_t bytes, Outcome<v1::TagResponse> outcome) {
  absl::MutexLock lock(&mutex_);
  --calls_in_flight_;
  bytes_in_flight_ -= bytes;
  AdaptLimit(outcome);
  const Failure* const failure = std::get_if<Failure>(&outcome);
  if (failure != nullptr && failure->server_unreachable) {
    no_server_ = *failure;
  } else {
    server_seen_ = true;
  }
  entry.outcome = std::move(outcome);
}

void TagRun::AdaptLimit(const Outcome<v1::TagResponse>& outcome) {
  if (const auto* const response = std::get_if<v1::TagResponse>(&outcome)) {
    limit_.OnAnswer(FromProto(response->timing().queue()), FromProto(response->timing().inference()));
  } else if (std::get<Failure>(outcome).code == "RESOURCE_EXHAUSTED") {
    limit_.OnRefusal();
  }
}

void TagRun::AwaitRoomFor(std::size_t bytes) {
  const auto has_room = [this, bytes] {
    mutex_.AssertHeld();
    return calls_in_flight_ == 0 || (interrupted_ && bytes == 0) ||
           (calls_in_flight_ < limit_.limit() && bytes_in_flight_ + bytes <= options_.max_bytes_in_flight);
  };
  mutex_.LockWhen(absl::Condition(&has_room));
  mutex_.Unlock();
}

std::list<TagRun::Entry>::iterator TagRun::NextPrintable() {
  const auto is_finished = [](const Entry& entry) { return entry.outcome.has_value(); };
  if (!output_.ordered()) return std::find_if(entries_.begin(), entries_.end(), is_finished);
  return !entries_.empty() && is_finished(entries_.front()) ? entries_.begin() : entries_.end();
}

void TagRun::PrintNext() {
  auto next = entries_.end();
  const auto find_next = [this, &next] {
    mutex_.AssertHeld();
    next = NextPrintable();
    return next != entries_.end();
  };
  mutex_.LockWhen(absl::Condition(&find_next));
  const Outcome<v1::TagResponse> outcome = *std::move(next->outcome);
  mutex_.Unlock();
  if (next->stream.joinable()) next->stream.join();
  output_.Print(next->file, outcome);
  entries_.erase(next);
}

void TagRun::PrintFinished() {
  const auto can_print = [this] {
    absl::MutexLock lock(&mutex_);
    return NextPrintable() != entries_.end();
  };
  while (entries_.size() >= kMaxUnprinted || can_print()) PrintNext();
}

// Takes from the list what `results` has, and what is there twice.
void SkipFinished(const ResultFile& results, FileList& list) {
  std::unordered_set<std::string> seen;
  const auto is_done = [&](const std::string& file) { return results.Has(file) || !seen.insert(file).second; };
  list.files.erase(std::remove_if(list.files.begin(), list.files.end(), is_done), list.files.end());
}

}  // namespace

int RunTag(const TagOptions& options, TaggingClient& client, const Console& console) {
  Outcome<FileList> listed = ListFiles(options.files, console.in);
  if (const auto* const failure = std::get_if<Failure>(&listed)) {
    console.err << FailureText(options.files.list, *failure);
    return 1;
  }
  auto& list = std::get<FileList>(listed);
  std::unique_ptr<ResultFile> results;
  if (!options.result_file.empty()) {
    Outcome<std::unique_ptr<ResultFile>> opened = ResultFile::Open(options.result_file, options.format);
    if (const auto* const failure = std::get_if<Failure>(&opened)) {
      console.err << FailureText(options.result_file, *failure);
      return 1;
    }
    results = std::get<std::unique_ptr<ResultFile>>(std::move(opened));
    SkipFinished(*results, list);
  }
  TagOutput output(options, list.files.size(), results.get(), console);
  const bool interrupted = TagRun(options, client, console, output).Run(list);
  const bool all_worked = output.Finish();
  if (interrupted) return kExitInterrupted;
  return all_worked ? 0 : 1;
}

}  // namespace culturetag::client
