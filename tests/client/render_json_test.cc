#include "client/render_json.h"

#include <gtest/gtest.h>

#include "client/parse_text.h"

namespace culturetag::client {
namespace {

TEST(TagsJsonTest, HasEveryMemberInTheDocumentedOrder) {
  const auto response = ParseText<v1::TagResponse>(R"pb(
    model: "demo"
    model_version: "0.1.0"
    audio {
      duration { seconds: 12 nanos: 345678901 }
      sample_rate_hz: 44100
      channel_count: 2
      format: "MP3"
      window_count: 3
    }
    heads { head: "makam" tags { label: "Hüseyni" category: "makam" score: 0.87 } }
    windows { start_offset { seconds: 7 nanos: 300000000 } duration { seconds: 5 } heads { head: "makam" } }
    timing { decode { nanos: 1000000 } queue { nanos: 2000000 } inference { nanos: 300000000 } total { seconds: 1 } }
  )pb");
  EXPECT_EQ(TagsJson("a \"b\".mp3", response),
            R"({"file":"a \"b\".mp3","model":"demo","model_version":"0.1.0",)"
            R"("audio":{"duration_seconds":12.345678901,"sample_rate_hz":44100,"channel_count":2,"format":"MP3",)"
            R"("window_count":3},)"
            R"("heads":[{"head":"makam","tags":[{"label":"Hüseyni","category":"makam","score":0.87}]}],)"
            R"("windows":[{"start_seconds":7.3,"duration_seconds":5.0,"heads":[{"head":"makam","tags":[]}]}],)"
            R"("timing_seconds":{"decode":0.001,"queue":0.002,"inference":0.3,"total":1.0}})");
}

TEST(TagsJsonTest, LeavesNoMemberOutOfAnEmptyResponse) {
  EXPECT_EQ(TagsJson("a", {}),
            R"({"file":"a","model":"","model_version":"","audio":{"duration_seconds":0.0,"sample_rate_hz":0,)"
            R"("channel_count":0,"format":"","window_count":0},"heads":[],"windows":[],)"
            R"("timing_seconds":{"decode":0.0,"queue":0.0,"inference":0.0,"total":0.0}})");
}

TEST(FailureJsonTest, GivesNullForWhatTheServerDidNotSay) {
  Failure failure;
  failure.code = "NOT_FOUND";
  failure.message = "no such file";
  EXPECT_EQ(FailureJson("a", failure),
            R"({"file":"a","error":{"code":"NOT_FOUND","message":"no such file",)"
            R"("field":null,"retry_after_seconds":null}})");
}

TEST(FailureJsonTest, GivesFieldAndRetryTime) {
  Failure failure;
  failure.code = "RESOURCE_EXHAUSTED";
  failure.message = "full";
  failure.field = "audio";
  failure.retry_after = absl::Milliseconds(1500);
  EXPECT_EQ(FailureJson("a", failure),
            R"({"file":"a","error":{"code":"RESOURCE_EXHAUSTED","message":"full",)"
            R"("field":"audio","retry_after_seconds":1.5}})");
}

TEST(FailureJsonTest, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(FailureJson("caf\xe9.wav", {}),
            "{\"file\":\"caf\uFFFD.wav\",\"error\":"
            R"({"code":"","message":"","field":null,"retry_after_seconds":null}})");
}

TEST(ModelsJsonTest, HasEveryMemberWithMetricsInAlphabeticalOrder) {
  const auto response = ParseText<v1::ListModelsResponse>(R"pb(
    models {
      name: "demo"
      version: "0.1.0"
      backbone: "demo-mert"
      license: "MIT"
      description: "Small."
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
        labels { name: "Voice" category: "instrument" untrained_reason: "can't be rendered" }
        metrics { key: "roc_auc" value: 0.87 }
        metrics { key: "map" value: 0.5 }
      }
    }
  )pb");
  EXPECT_EQ(ModelsJson(response),
            R"([{"name":"demo","version":"0.1.0","backbone":"demo-mert","license":"MIT","description":"Small.",)"
            R"("sample_rate_hz":24000,"window_seconds":5.0,"layer_count":5,"hidden_size":192,"device":"cpu",)"
            R"("precision":"fp32","heads":[{"name":"makam","title":"Turkish makam","dataset":"Turkish-makam",)"
            R"("metrics":{"map":0.5,"roc_auc":0.87},"labels":[{"name":"Voice","category":"instrument",)"
            R"("untrained_reason":"can't be rendered"}]}]}])");
}

TEST(ModelsJsonTest, IsAnEmptyArrayWithoutModels) { EXPECT_EQ(ModelsJson({}), "[]"); }

}  // namespace
}  // namespace culturetag::client
