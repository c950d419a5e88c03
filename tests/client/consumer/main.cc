// Prints the best tag of each head: consumer HOST:PORT FILE.
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/synchronization/notification.h"
#include "client/audio_file.h"
#include "client/tagging_client.h"

namespace client = culturetag::client;
namespace v1 = culturetag::v1;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  client::TaggingClient::Options options;
  options.server = argv[1];
  client::TaggingClient tagger(options, client::CreateChannels(options.server));

  auto bytes = client::ReadAudioFile(argv[2], /*standard_input=*/-1);
  if (std::holds_alternative<client::Failure>(bytes)) return 1;
  auto request = std::make_unique<v1::TagRequest>();
  request->mutable_audio()->set_encoded(std::get<std::string>(std::move(bytes)));
  request->set_top_k(1);

  client::Outcome<v1::TagResponse> outcome;
  absl::Notification finished;
  tagger.Tag(std::move(request), [&](client::Outcome<v1::TagResponse> result) {
    outcome = std::move(result);
    finished.Notify();
  });
  finished.WaitForNotification();
  if (const auto* const failure = std::get_if<client::Failure>(&outcome)) {
    std::cerr << failure->code << ": " << failure->message << "\n";
    return 1;
  }
  for (const v1::HeadResult& head : std::get<v1::TagResponse>(outcome).heads()) {
    std::cout << head.head() << " " << head.tags(0).label() << "\n";
  }
  return 0;
}
