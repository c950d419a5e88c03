#include "client/render_text.h"

#include <gtest/gtest.h>

#include "client/parse_text.h"

namespace culturetag::client {
namespace {

constexpr char kResponse[] = R"pb(
  model: "demo"
  model_version: "0.1.0"
  audio {
    duration { seconds: 12 nanos: 400000000 }
    sample_rate_hz: 44100
    channel_count: 2
    format: "WAV/PCM_16"
    window_count: 3
  }
  heads {
    head: "makam"
    tags { label: "Hüseyni" category: "makam" score: 0.874 }
    tags { label: "Kanun" category: "instrument" score: 0.5 }
  }
  heads { head: "fma" }
  timing { total { nanos: 210000000 } }
)pb";

constexpr char kWindows[] = R"pb(
  windows {
    duration { seconds: 5 }
    heads { head: "makam" tags { label: "Hicaz" category: "makam" score: 0.9 } tags { label: "Ney" score: 0.25 } }
    heads { head: "fma" tags { label: "Folk" score: 0.1 } }
  }
  windows {
    start_offset { seconds: 7 nanos: 400000000 }
    duration { seconds: 5 }
    heads { head: "makam" }
    heads { head: "fma" }
  }
)pb";

constexpr char kModels[] = R"pb(
  models {
    name: "demo"
    version: "0.1.0"
    backbone: "demo-mert"
    license: "MIT"
    description: "A small model for demonstrations, trained on synthetic renderings only."
    sample_rate_hz: 24000
    window { seconds: 5 }
    layer_count: 5
    hidden_size: 192
    device: "cpu"
    precision: "fp32"
    heads {
      name: "makam"
      title: "Turkish makam"
      dataset: "Turkish-makam"
      labels { name: "Ney" category: "instrument" }
      labels { name: "Hicaz" category: "makam" }
      labels { name: "Voice" category: "instrument" untrained_reason: "can't be rendered" }
      labels { name: "Kanun" category: "instrument" }
      metrics { key: "roc_auc" value: 0.87651 }
    }
    heads {
      name: "fma"
      title: "Genres"
      dataset: "FMA-medium"
      labels { name: "Folk" category: "genre" }
      metrics { key: "map" value: 0.5 }
    }
  }
  models {
    name: "other"
    version: "2"
    description: "Another."
    window { seconds: 65 }
    device: "cuda:0"
    precision: "bf16"
  }
)pb";

TEST(TagsTextTest, ShowsEachHeadWithItsTagsInColumns) {
  EXPECT_EQ(TagsText("song.wav", ParseText<v1::TagResponse>(kResponse), {}),
            "song.wav\n"
            "  12.4 s, WAV/PCM_16, 44100 Hz, 2 channels, 3 windows\n"
            "  demo 0.1.0, answered in 0.210 s\n"
            "\n"
            "  makam\n"
            "    Hüseyni  makam       0.87\n"
            "    Kanun    instrument  0.50\n"
            "  fma\n"
            "    (no tags)\n");
}

TEST(TagsTextTest, ShowsOneLineForEachWindowAndHead) {
  const std::string text = TagsText("-", ParseText<v1::TagResponse>(kWindows), {});
  EXPECT_EQ(text.substr(text.find("  windows\n")),
            "  windows\n"
            "     0.0-5.0 s  makam  Hicaz 0.90, Ney 0.25\n"
            "                fma    Folk 0.10\n"
            "    7.4-12.4 s  makam\n"
            "                fma\n");
  EXPECT_EQ(text.substr(0, text.find('\n')), "(standard input)");
}

TEST(TagsTextTest, DrawsBarsOfTwentyColumnsOnATerminal) {
  const TextStyle decorated{true, 80};
  const std::string text = TagsText("a", ParseText<v1::TagResponse>(kResponse), decorated);
  EXPECT_NE(text.find("    Hüseyni  \x1b[2mmakam\x1b[0m       0.87  \x1b[32m█████████████████░░░\x1b[0m\n"),
            std::string::npos)
      << text;
}

TEST(TagsTextTest, LetsNoLabelOrFileNameSteerTheTerminal) {
  const auto response =
      ParseText<v1::TagResponse>(R"pb(heads { head: "\033[2J" tags { label: "\033]0;x\007" category: "\r" } })pb");
  EXPECT_EQ(TagsText("\x1b[31m", response, {}).find_first_of("\x1b\r\x07"), std::string::npos);
}

TEST(TagsTextTest, GivesDurationsFromAMinuteOnInMinutes) {
  const auto heading = [](const std::string& duration) {
    const std::string text =
        TagsText("a", ParseText<v1::TagResponse>("audio { duration { " + duration + " } }"), {});
    return text.substr(4, text.find(',') - 4);
  };
  EXPECT_EQ(heading("seconds: 59 nanos: 940000000"), "59.9 s");
  EXPECT_EQ(heading("seconds: 59 nanos: 960000000"), "1 min 0 s");
  EXPECT_EQ(heading("seconds: 599 nanos: 600000000"), "10 min 0 s");
}

TEST(ModelsTextTest, ShowsFactsAndATableOfHeadsWithAllTheirMetrics) {
  EXPECT_EQ(ModelsText(ParseText<v1::ListModelsResponse>(kModels), /*with_labels=*/false, {false, 40}),
            "demo 0.1.0 (default)\n"
            "  backbone  demo-mert\n"
            "  licence   MIT\n"
            "  runs on   cpu in fp32\n"
            "  window    5.0 s at 24000 Hz\n"
            "  states    5 layers of 192\n"
            "\n"
            "  A small model for demonstrations,\n"
            "  trained on synthetic renderings only.\n"
            "\n"
            "  head   title          labels  untrained    map  roc_auc  data set\n"
            "  makam  Turkish makam       4          1      -    0.877  Turkish-makam\n"
            "  fma    Genres              1          0  0.500        -  FMA-medium\n"
            "\n"
            "other 2\n"
            "  backbone\n"
            "  licence\n"
            "  runs on   cuda:0 in bf16\n"
            "  window    1 min 5 s at 0 Hz\n"
            "  states    0 layers of 0\n"
            "\n"
            "  Another.\n"
            "\n"
            "  head  title  labels  untrained  data set\n");
}

TEST(ModelsTextTest, ListsLabelsByCategoryAndUntrainedOnesByReason) {
  const std::string text = ModelsText(ParseText<v1::ListModelsResponse>(kModels), /*with_labels=*/true, {});
  const size_t labels = text.find("\n  makam\n");
  ASSERT_NE(labels, std::string::npos) << text;
  EXPECT_EQ(text.substr(labels, text.find("\nother") - labels),
            "\n  makam\n"
            "    instrument: Ney, Kanun\n"
            "    makam: Hicaz\n"
            "    untrained, can't be rendered: Voice\n"
            "\n  fma\n"
            "    genre: Folk\n");
}

TEST(ModelsTextTest, SaysThatThereAreNone) { EXPECT_EQ(ModelsText({}, false, {}), "The server has no models.\n"); }

TEST(FailureTextTest, NamesTheFileTheCodeAndTheField) {
  Failure failure;
  failure.code = "INVALID_ARGUMENT";
  failure.message = "not audio";
  EXPECT_EQ(FailureText("a.wav", failure), "culturetag: a.wav: INVALID_ARGUMENT: not audio\n");
  failure.field = "audio.encoded";
  failure.retry_after = absl::Milliseconds(1250);
  EXPECT_EQ(FailureText("-", failure),
            "culturetag: (standard input): INVALID_ARGUMENT: not audio [field audio.encoded] [retry after 1.2 s]\n");
}

}  // namespace
}  // namespace culturetag::client
