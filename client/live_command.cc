#include "client/live_command.h"

#include <memory>
#include <string>
#include <variant>

#include "client/audio_file.h"
#include "client/render_json.h"
#include "client/render_text.h"

namespace culturetag::client {

int RunLive(const TagOptions& options, TaggingClient& client, const Console& console) {
  const std::string name = "-";
  const bool json = options.format == OutputFormat::kJsonLines;
  v1::TagStreamConfig config = MakeStreamConfig(options);
  *config.mutable_pcm() = options.live_pcm;
  AudioInput audio;
  audio.rest = std::make_unique<FdReader>(console.in, FdReader::Ownership::kBorrowed);
  const Interrupts::Listener end_of_audio(console.interrupts, [&audio] { audio.rest->Stop(); });
  const Outcome<v1::TagResponse> outcome = client.TagStream(config, audio, [&](const v1::WindowResult& window) {
    console.out << (json ? WindowJson(window) + "\n" : WindowText(window, console.style)) << std::flush;
  });
  if (const auto* const failure = std::get_if<Failure>(&outcome)) {
    if (json) console.out << FailureJson(name, *failure) << "\n";
    console.err << FailureText(name, *failure);
    return 1;
  }
  const auto& summary = std::get<v1::TagResponse>(outcome);
  console.out << (json ? TagsJson(name, summary) + "\n" : "\n" + TagsText(name, summary, console.style));
  return 0;
}

}  // namespace culturetag::client
