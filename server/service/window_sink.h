// What becomes of a call's scored windows: tags or embeddings, in one answer or as they come.
//
// A sink belongs to one call, which hands it one window at a time, in order, and then ends it. Thread-compatible.
#ifndef CULTURETAG_SERVICE_WINDOW_SINK_H_
#define CULTURETAG_SERVICE_WINDOW_SINK_H_

#include <memory>

#include "absl/status/statusor.h"
#include "service/tagger.h"

namespace culturetag {

class WindowSink {
 public:
  virtual ~WindowSink() = default;

  // Checks the options against the model. Called first, and before anything is decoded.
  virtual absl::Status Prepare(const ModelSpec& model) = 0;
  virtual bool wants_hidden_states() const { return false; }
  // Whether the caller says, by Stream::WindowSent, when a window has left; else it has left when Take returns.
  virtual bool holds_windows() const { return false; }
  virtual void Take(absl::Duration start_offset, absl::Duration duration, WindowOutput output) = 0;
  // Called once, last.
  virtual void End(absl::StatusOr<CallResult> result) = 0;
};

std::unique_ptr<WindowSink> MakeTagSink(const TagOptions& options, Tagger::TagCallback callback);
// `listener` must outlive the sink.
std::unique_ptr<WindowSink> MakeStreamSink(const TagOptions& options, StreamListener& listener);
std::unique_ptr<WindowSink> MakeEmbedSink(bool include_windows, Tagger::EmbedCallback callback);

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_WINDOW_SINK_H_
