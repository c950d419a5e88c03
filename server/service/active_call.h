// One request on its way through the tagger. Its life is told in tagger.cc.
//
// Internal to the tagger. Its decoder runs ahead of the device by a few windows and stops when that many are on their way;
// the device's results start it again. So decoding and scoring overlap, and a track of any length holds little memory.
// `active_` counts the threads that are at the call: the last one to leave ends it.
//
// Thread-safe where it says so; the rest is the decoder's (one at a time) or the deliverer's (one at a time).
#ifndef CULTURETAG_SERVICE_ACTIVE_CALL_H_
#define CULTURETAG_SERVICE_ACTIVE_CALL_H_

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "audio/window_reader.h"
#include "service/tagger.h"
#include "service/upload_buffer.h"
#include "service/window_sink.h"

namespace culturetag {

class Tagger::ActiveCall : public std::enable_shared_from_this<ActiveCall> {
 public:
  ActiveCall(Tagger& tagger, CallOptions options, std::unique_ptr<WindowSink> sink);
  virtual ~ActiveCall() = default;

  // Begins, or ends with `status` if that is an error.
  void Start(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the call with `status` as soon as its decoder stops. No effect on one that has ended. Thread-safe.
  void Fail(absl::Status status, WasteReason reason) ABSL_LOCKS_EXCLUDED(mutex_);

  std::list<std::shared_ptr<ActiveCall>>::iterator place;  // among the tagger's calls; the tagger guards it

 protected:
  // What differs between audio that is there and audio that comes.
  virtual absl::Status StartDecoding() = 0;  // has Decode run
  virtual void ContinueDecoding() = 0;       // has it run again
  virtual void StopReading(absl::Status) {}
  virtual absl::StatusOr<std::unique_ptr<Decoder>> OpenAudio() = 0;
  virtual absl::Status WithField(absl::Status status, bool opened) const = 0;  // blames the field of the audio
  virtual absl::Duration max_duration() const { return tagger_.options_.max_audio_duration; }
  virtual absl::Duration waiting_for_audio() const { return absl::ZeroDuration(); }
  virtual bool is_stream() const { return false; }
  // Whether another window may follow; may wait for that.
  virtual bool HasRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return tagger_.HasRoom(*model_, in_flight_); }

  void Decode() ABSL_LOCKS_EXCLUDED(mutex_);
  // A window's result has left: there is room for another. Thread-safe.
  void ReleaseWindow() ABSL_LOCKS_EXCLUDED(mutex_);
  void EnterThread() ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);

  Tagger& tagger_;
  absl::Mutex mutex_;
  absl::optional<absl::Status> failure_ ABSL_GUARDED_BY(mutex_);
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;  // windows between the decoder and the caller
  int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;       // of them, those that the sink has and that haven't left
  uint64_t progress_ ABSL_GUARDED_BY(mutex_) = 0;  // changes whenever one is scored or has left

 private:
  absl::Status Validate();
  bool MayDecode() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<bool> DecodeBlock();
  absl::StatusOr<bool> OpenAndRead(std::vector<Window>& windows);
  void CountRejection(const absl::Status& status);
  void EndOfAudio() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Score(std::vector<Window> windows) ABSL_LOCKS_EXCLUDED(mutex_);
  ScoringRequest MakeScoringRequest(size_t window_samples) const;
  absl::Status CheckAdmission();
  absl::Status OpenSubmission(size_t window_samples) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeScored(absl::StatusOr<ScoredWindow> scored) ABSL_LOCKS_EXCLUDED(mutex_);
  bool DeliverNext() ABSL_LOCKS_EXCLUDED(mutex_);
  void End(const absl::Status& status);
  const ModelSpec& spec() const { return *model_->spec; }

  const CallOptions options_;
  const std::unique_ptr<WindowSink> sink_;
  const absl::Time arrival_;
  std::shared_ptr<const ServedModel> model_;  // from Validate on: this version, whatever is reloaded meanwhile

  // The decoder's.
  std::unique_ptr<WindowReader> reader_;
  absl::Duration window_audio_;

  // The deliverer's, but for what is written before the first window.
  CallResult result_;
  absl::Time first_taken_;
  absl::Duration aggregation_;

  std::shared_ptr<WindowBatcher::Submission> submission_ ABSL_GUARDED_BY(mutex_);  // once a window is there; the decoder's to set
  WasteReason waste_reason_ ABSL_GUARDED_BY(mutex_) = WasteReason::kCancelled;
  std::deque<int64_t> window_starts_ ABSL_GUARDED_BY(mutex_);      // of those that haven't been delivered
  std::map<int64_t, ScoredWindow> early_ ABSL_GUARDED_BY(mutex_);  // scored and not delivered
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  bool parked_ ABSL_GUARDED_BY(mutex_) = false;  // the decoder waits for room
  bool all_read_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  int active_ ABSL_GUARDED_BY(mutex_) = 1;  // the decoder is the first
};

// A call whose audio is all there: it takes turns with others on the decoders' threads.
class Tagger::BytesCall final : public ActiveCall, public Call {
 public:
  BytesCall(Tagger& tagger, CallOptions options, AudioBytes audio, std::unique_ptr<WindowSink> sink)
      : ActiveCall(tagger, std::move(options), std::move(sink)), audio_(audio) {}

  void Cancel(WasteReason reason, absl::Status status) override { Fail(std::move(status), reason); }

 private:
  absl::Status StartDecoding() override;
  void ContinueDecoding() override;
  absl::StatusOr<std::unique_ptr<Decoder>> OpenAudio() override;
  absl::Status WithField(absl::Status status, bool opened) const override;

  const AudioBytes audio_;
};

// A call whose audio comes in chunks: its decoder waits for them, on a thread of its own.
class Tagger::StreamCall final : public ActiveCall, public Stream {
 public:
  StreamCall(Tagger& tagger, StreamRequest request, StreamListener& listener)
      : ActiveCall(tagger, request, MakeStreamSink(request, listener)),
        pcm_(request.pcm),
        upload_(tagger.options_.stream_idle_timeout, tagger.clock_, [&listener] { listener.OnWantData(); }) {}

  void Write(std::string chunk) override { upload_.Write(std::move(chunk)); }
  void CloseWrites() override { upload_.Close(); }
  void WindowSent() override;
  void Cancel(WasteReason reason, absl::Status status) override { Fail(std::move(status), reason); }

 private:
  absl::Status StartDecoding() override;
  void ContinueDecoding() override {}  // It waits by itself.
  void StopReading(absl::Status status) override { upload_.Fail(std::move(status)); }
  absl::StatusOr<std::unique_ptr<Decoder>> OpenAudio() override;
  absl::Status WithField(absl::Status status, bool opened) const override;
  absl::Duration max_duration() const override { return tagger_.options_.max_stream_duration; }
  absl::Duration waiting_for_audio() const override { return upload_.waited(); }
  bool is_stream() const override { return true; }
  bool HasRoom() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Blocks until every result has left.
  void AwaitLast() ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until `done`, or the call fails: for one, because its client takes no results.
  template <typename Done>
  void Await(const Done& done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::optional<PcmFormat> pcm_;
  UploadBuffer upload_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_ACTIVE_CALL_H_
