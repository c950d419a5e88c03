#include "service/window_sink.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_details.h"
#include "base/status_macros.h"
#include "labeling/aggregator.h"

namespace culturetag {
namespace {

class TagSink : public WindowSink {
 public:
  TagSink(const TagOptions& options, Tagger::TagCallback callback) : options_(options), callback_(std::move(callback)) {}

  absl::Status Prepare(const ModelSpec& model) override {
    model_ = &model;
    CULTURETAG_ASSIGN_OR_RETURN(selection_.heads, ResolveHeads(model, options_.heads));
    if (options_.top_k < 0) {
      return InvalidField("top_k", absl::StrCat("top_k is ", options_.top_k, "; it may be 0, for all tags, or more"));
    }
    if (!(options_.min_score >= 0 && options_.min_score <= 1)) {
      return InvalidField("min_score", absl::StrCat("min_score is ", options_.min_score, "; it may be 0 to 1"));
    }
    selection_.top_k = options_.top_k;
    selection_.min_score = options_.min_score;
    return absl::OkStatus();
  }

  void Take(absl::Duration start_offset, absl::Duration duration, WindowOutput output) override {
    mean_.Add(output.scores);
    if (options_.include_windows) windows_.push_back(TagsOf(start_offset, duration, output));
  }

  void End(absl::StatusOr<CallResult> result) override {
    if (!result.ok()) return std::move(callback_)(result.status());
    TagResult tags;
    static_cast<CallResult&>(tags) = *std::move(result);
    tags.heads = SelectTags(*model_, mean_.Mean(), selection_);
    tags.windows = std::move(windows_);
    std::move(callback_)(std::move(tags));
  }

 protected:
  WindowTags TagsOf(absl::Duration start_offset, absl::Duration duration, const WindowOutput& output) const {
    return {start_offset, duration, SelectTags(*model_, output.scores, selection_)};
  }
  const ModelSpec& model() const { return *model_; }

 private:
  const TagOptions options_;
  Tagger::TagCallback callback_;
  const ModelSpec* model_ = nullptr;
  TagSelection selection_;
  WindowMean mean_;
  std::vector<WindowTags> windows_;
};

class StreamSink final : public TagSink {
 public:
  StreamSink(const TagOptions& options, StreamListener& listener)
      : TagSink(options, [&listener](absl::StatusOr<TagResult> result) { listener.OnEnd(std::move(result)); }),
        listener_(listener) {}

  bool holds_windows() const override { return true; }

  void Take(absl::Duration start_offset, absl::Duration duration, WindowOutput output) override {
    WindowTags tags = TagsOf(start_offset, duration, output);
    TagSink::Take(start_offset, duration, std::move(output));
    listener_.OnWindow(model(), std::move(tags));
  }

 private:
  StreamListener& listener_;
};

class EmbedSink final : public WindowSink {
 public:
  EmbedSink(bool include_windows, Tagger::EmbedCallback callback)
      : include_windows_(include_windows), callback_(std::move(callback)) {}

  absl::Status Prepare(const ModelSpec&) override { return absl::OkStatus(); }
  bool wants_hidden_states() const override { return true; }

  void Take(absl::Duration start_offset, absl::Duration duration, WindowOutput output) override {
    mean_.Add(output.hidden_states);
    if (include_windows_) windows_.push_back({start_offset, duration, std::move(output.hidden_states)});
  }

  void End(absl::StatusOr<CallResult> result) override {
    if (!result.ok()) return std::move(callback_)(result.status());
    EmbedResult embedding;
    static_cast<CallResult&>(embedding) = *std::move(result);
    embedding.values = mean_.Mean();
    embedding.windows = std::move(windows_);
    std::move(callback_)(std::move(embedding));
  }

 private:
  const bool include_windows_;
  Tagger::EmbedCallback callback_;
  WindowMean mean_;
  std::vector<WindowEmbedding> windows_;
};

}  // namespace

std::unique_ptr<WindowSink> MakeTagSink(const TagOptions& options, Tagger::TagCallback callback) {
  return std::make_unique<TagSink>(options, std::move(callback));
}

std::unique_ptr<WindowSink> MakeStreamSink(const TagOptions& options, StreamListener& listener) {
  return std::make_unique<StreamSink>(options, listener);
}

std::unique_ptr<WindowSink> MakeEmbedSink(bool include_windows, Tagger::EmbedCallback callback) {
  return std::make_unique<EmbedSink>(include_windows, std::move(callback));
}

}  // namespace culturetag
