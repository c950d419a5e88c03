#include "client/progress.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace culturetag::client {
namespace {

constexpr std::size_t kBarColumns = 20;
constexpr absl::Duration kRedrawEvery = absl::Milliseconds(100);

}  // namespace

std::string ProgressText(const Progress& progress) {
  const std::size_t filled = progress.total == 0 ? 0 : progress.done * kBarColumns / progress.total;
  std::string text = absl::StrCat("[", std::string(filled, '#'), std::string(kBarColumns - filled, '.'), "] ",
                                  progress.done, "/", progress.total, " files");
  if (progress.done > 0 && progress.elapsed > absl::ZeroDuration()) {
    const double rate = static_cast<double>(progress.done) / absl::ToDoubleSeconds(progress.elapsed);
    const absl::Duration left = absl::Seconds(static_cast<double>(progress.total - progress.done) / rate);
    absl::StrAppendFormat(&text, ", %.1f/s, %s left", rate, absl::FormatDuration(absl::Ceil(left, absl::Seconds(1))));
  }
  if (progress.failed > 0) absl::StrAppend(&text, ", ", progress.failed, " failed");
  return text;
}

void ProgressLine::Update(Progress progress) {
  const absl::Time now = absl::Now();
  if (!enabled_ || now < last_drawn_ + kRedrawEvery) return;
  last_drawn_ = now;
  progress.elapsed = now - start_;
  Clear();
  terminal_ << ProgressText(progress) << std::flush;
  drawn_ = true;
}

void ProgressLine::Clear() {
  if (drawn_) terminal_ << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace culturetag::client
