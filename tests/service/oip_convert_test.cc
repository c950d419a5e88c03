#include "service/oip_convert.h"

#include <functional>
#include <random>

#include "base/error_details.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A raw element: its length, little-endian, and its bytes.
std::string Raw(absl::string_view bytes) {
  const auto length = static_cast<uint32_t>(bytes.size());
  std::string raw;
  for (int shift = 0; shift < 32; shift += 8) raw.push_back(static_cast<char>(length >> shift));
  raw.append(bytes.data(), bytes.size());
  return raw;
}

inference::ModelInferRequest Request(std::initializer_list<std::string> files) {
  inference::ModelInferRequest request;
  auto& tensor = *request.add_inputs();
  tensor.set_name("AUDIO");
  tensor.set_datatype("BYTES");
  tensor.add_shape(static_cast<int64_t>(files.size()));
  for (const std::string& file : files) tensor.mutable_contents()->add_bytes_contents(file);
  return request;
}

inference::ModelInferRequest RawRequest(std::initializer_list<std::string> files) {
  inference::ModelInferRequest request = Request(files);
  request.mutable_inputs(0)->clear_contents();
  std::string& raw = *request.add_raw_input_contents();
  for (const std::string& file : files) raw += Raw(file);
  return request;
}

// Of FakeSpec: label k of head h scores `file` + h / 10 + k / 100; the best first.
TagResult Result(const ModelSpec& model, std::initializer_list<int> heads, float file) {
  TagResult result;
  result.model = std::make_shared<const ModelSpec>(model);
  for (const int head : heads) {
    HeadTags& tags = result.heads.emplace_back();
    tags.head = head;
    for (int label = static_cast<int>(model.heads[static_cast<size_t>(head)].labels.size()); label-- > 0;) {
      tags.tags.push_back({label, file + static_cast<float>(head) / 10 + static_cast<float>(label) / 100});
    }
  }
  return result;
}

InferPlan Plan(std::initializer_list<const char*> outputs, bool raw = false) {
  InferPlan plan;
  plan.outputs.assign(outputs.begin(), outputs.end());
  plan.raw = raw;
  return plan;
}

TEST(PlanInferTest, AsksForEverythingByDefault) {
  const inference::ModelInferRequest request = Request({"RIFF", "fLaC"});
  const auto plan = PlanInfer(request, FakeSpec());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->files, ElementsAre("RIFF", "fLaC"));
  EXPECT_EQ(plan->files[0].data(), request.inputs(0).contents().bytes_contents(0).data());
  EXPECT_THAT(plan->outputs, ElementsAre("makam", "fma", "LABELS"));
  EXPECT_THAT(plan->options.heads, IsEmpty());
  EXPECT_EQ(plan->options.priority, Priority::kInteractive);
  EXPECT_FALSE(plan->raw);
}

TEST(PlanInferTest, LeavesRawFilesWhereTheyAre) {
  const inference::ModelInferRequest request = RawRequest({"RIFF", "fLaC!"});
  const auto plan = PlanInfer(request, FakeSpec());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->raw);
  EXPECT_THAT(plan->files, ElementsAre("RIFF", "fLaC!"));
  EXPECT_EQ(plan->files[1].data(), request.raw_input_contents(0).data() + 12);
}

TEST(PlanInferTest, TakesOutputsAndPriority) {
  inference::ModelInferRequest request = Request({"RIFF"});
  request.add_outputs()->set_name("LABELS");
  request.add_outputs()->set_name("fma");
  (*request.mutable_parameters())["priority"].set_string_param("bulk");
  (*request.mutable_parameters())["sequence_end"].set_bool_param(true);  // what a tool adds of its own
  const auto plan = PlanInfer(request, FakeSpec());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->outputs, ElementsAre("LABELS", "fma"));
  EXPECT_THAT(plan->options.heads, ElementsAre("fma"));
  EXPECT_EQ(plan->options.priority, Priority::kBulk);
}

TEST(PlanInferTest, SaysWhichOutputsThereAre) {
  inference::ModelInferRequest request = Request({"RIFF"});
  request.add_outputs()->set_name("lyra");
  const absl::Status status = PlanInfer(request, FakeSpec()).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "the model has no output \"lyra\"; it has makam, fma, LABELS");
}

TEST(PlanInferTest, NamesTheFieldThatContradictsTheProtocol) {
  struct Case {
    std::function<void(inference::ModelInferRequest&)> change;
    const char* field;
    const char* message;
  };
  const std::vector<Case> cases = {
      {[](auto& r) { r.clear_inputs(); }, "inputs", "one input, AUDIO"},
      {[](auto& r) { r.add_inputs()->set_name("AUDIO"); }, "inputs", "one input, AUDIO"},
      {[](auto& r) { r.mutable_inputs(0)->set_name("audio"); }, "inputs", "one input, AUDIO"},
      {[](auto& r) { r.mutable_inputs(0)->set_datatype("UINT8"); }, "inputs[0].datatype", "\"UINT8\"; it must be BYTES"},
      {[](auto& r) { r.mutable_inputs(0)->clear_shape(); }, "inputs[0].shape", "is []; it must be [N] with N from 1 to 128"},
      {[](auto& r) { r.mutable_inputs(0)->add_shape(1); }, "inputs[0].shape", "is [2, 1]; it must be [N]"},
      {[](auto& r) { r.mutable_inputs(0)->set_shape(0, 0); }, "inputs[0].shape", "is [0]"},
      {[](auto& r) { r.mutable_inputs(0)->set_shape(0, -1); }, "inputs[0].shape", "is [-1]"},
      {[](auto& r) { r.mutable_inputs(0)->set_shape(0, 129); }, "inputs[0].shape", "is [129]"},
      {[](auto& r) { r.mutable_inputs(0)->set_shape(0, 3); }, "inputs[0].contents", "has 2 bytes_contents, and its shape says 3"},
      {[](auto& r) { r.mutable_inputs(0)->clear_contents(); }, "inputs[0].contents", "has 0 bytes_contents"},
      {[](auto& r) { r.mutable_inputs(0)->mutable_contents()->set_bytes_contents(1, ""); }, "AUDIO[1]", "the audio file has no bytes"},
      {[](auto& r) { r.add_raw_input_contents(Raw("RIFF") + Raw("fLaC")); }, "raw_input_contents", "and no contents"},
      {[](auto& r) {
         r.add_outputs()->set_name("fma");
         r.add_outputs()->set_name("fma");
       },
       "outputs", "\"fma\" is asked for twice"},
      {[](auto& r) { (*r.mutable_parameters())["priority"].set_string_param("high"); }, "parameters[priority]", "or \"bulk\""},
      {[](auto& r) { (*r.mutable_parameters())["priority"].set_int64_param(1); }, "parameters[priority]", "string_param"},
  };
  for (const Case& c : cases) {
    inference::ModelInferRequest request = Request({"RIFF", "fLaC"});
    c.change(request);
    const absl::Status status = PlanInfer(request, FakeSpec()).status();
    EXPECT_EQ(FieldOf(status), c.field) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(PlanInferTest, WantsOneRawEntry) {
  inference::ModelInferRequest request = RawRequest({"RIFF"});
  request.add_raw_input_contents(Raw("fLaC"));
  EXPECT_EQ(FieldOf(PlanInfer(request, FakeSpec()).status()), "raw_input_contents");
}

TEST(SplitRawBytesTest, SaysWhereTheBytesContradictTheShape) {
  EXPECT_EQ(SplitRawBytes("", 1).status().message(), "the bytes end before the length of element 0 of 1");
  EXPECT_EQ(SplitRawBytes(Raw("a") + "\x01\0\0", 2).status().message(), "the bytes end before the length of element 1 of 2");
  EXPECT_EQ(SplitRawBytes(Raw("abc").substr(0, 6), 1).status().message(), "element 0 of 1 is said to have 3 bytes, and 2 follow");
  EXPECT_EQ(SplitRawBytes(Raw("abc") + "xy", 1).status().message(), "2 bytes follow the last of 1 elements");
  EXPECT_EQ(SplitRawBytes("\xff\xff\xff\xff", 1).status().message(),
            "element 0 of 1 is said to have 4294967295 bytes, and 0 follow");
}

// Whatever comes: what is accepted is a partition of the bytes, which joins to them again; what isn't blames its field.
TEST(SplitRawBytesTest, TakesExactlyWhatAWriterWouldHaveWritten) {
  std::mt19937 random(17);  // NOLINT: the same bytes each time
  int accepted = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string raw;
    const auto count = static_cast<int64_t>(1 + random() % 5);
    for (int64_t i = 0; i < count; ++i) raw += Raw(std::string(random() % 9, 'x'));
    switch (random() % 4) {
      case 0: break;
      case 1: raw.resize(random() % raw.size()); break;
      case 2: raw[random() % raw.size()] = static_cast<char>(random()); break;
      default: raw.append(1 + random() % 7, '\0');
    }
    const auto split = SplitRawBytes(raw, count);
    if (!split.ok()) {
      EXPECT_EQ(FieldOf(split.status()), "raw_input_contents");
      ++refused;
      continue;
    }
    std::string joined;
    for (const absl::string_view element : *split) joined += Raw(element);
    EXPECT_EQ(joined, raw);
    EXPECT_EQ(split->size(), static_cast<size_t>(count));
    ++accepted;
  }
  EXPECT_GT(accepted, 4'000);
  EXPECT_GT(refused, 4'000);
}

TEST(FillInferResponseTest, PutsScoresInTheOrderOfTheVocabulary) {
  const ModelSpec model = FakeSpec();
  inference::ModelInferResponse response;
  FillInferResponse(Plan({"makam", "fma", "LABELS"}), {Result(model, {0, 1}, 0.25F), Result(model, {0, 1}, 0.5F)}, response);
  EXPECT_EQ(response.model_name(), "fake");
  EXPECT_EQ(response.model_version(), "1.2.3");
  ASSERT_EQ(response.outputs_size(), 3);
  EXPECT_EQ(response.raw_output_contents_size(), 0);

  EXPECT_EQ(response.outputs(0).name(), "makam");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(2, 3));
  EXPECT_THAT(response.outputs(0).contents().fp32_contents(),
              ElementsAre(0.25F, 0.25F + 0.01F, 0.25F + 0.02F, 0.5F, 0.5F + 0.01F, 0.5F + 0.02F));
  EXPECT_EQ(response.outputs(1).name(), "fma");
  EXPECT_THAT(response.outputs(1).shape(), ElementsAre(2, 2));

  EXPECT_EQ(response.outputs(2).name(), "LABELS");
  EXPECT_EQ(response.outputs(2).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(2).shape(), ElementsAre(5));
  EXPECT_THAT(response.outputs(2).contents().bytes_contents(), ElementsAre("Rast", "Ney", "Düyek", "Rock", "Folk"));
}

TEST(FillInferResponseTest, KeepsTheOrderAskedForAndLabelsThoseHeads) {
  const ModelSpec model = FakeSpec();
  inference::ModelInferResponse response;
  FillInferResponse(Plan({"fma", "LABELS", "makam"}), {Result(model, {1, 0}, 0)}, response);
  ASSERT_EQ(response.outputs_size(), 3);
  EXPECT_EQ(response.outputs(0).name(), "fma");
  EXPECT_THAT(response.outputs(0).contents().fp32_contents(), ElementsAre(0.1F, 0.1F + 0.01F));
  EXPECT_THAT(response.outputs(1).contents().bytes_contents(), ElementsAre("Rock", "Folk", "Rast", "Ney", "Düyek"));
  EXPECT_EQ(response.outputs(2).name(), "makam");
}

TEST(FillInferResponseTest, AnswersARawRequestInKind) {
  const ModelSpec model = FakeSpec();
  inference::ModelInferResponse response;
  FillInferResponse(Plan({"fma", "LABELS"}, /*raw=*/true), {Result(model, {1}, 0.5F)}, response);
  ASSERT_EQ(response.raw_output_contents_size(), 2);
  EXPECT_FALSE(response.outputs(0).has_contents());
  ASSERT_EQ(response.raw_output_contents(0).size(), 8U);
  EXPECT_EQ(response.raw_output_contents(0).substr(0, 4), std::string("\x9a\x99\x19\x3f", 4));  // 0.6 of IEEE 754, little-endian
  EXPECT_THAT(*SplitRawBytes(response.raw_output_contents(1), 2), ElementsAre("Rock", "Folk"));
}

TEST(FillModelMetadataTest, DescribesEveryTensor) {
  inference::ModelMetadataResponse response;
  FillModelMetadata(FakeSpec(), response);
  EXPECT_EQ(response.name(), "fake");
  EXPECT_THAT(response.versions(), ElementsAre("1.2.3"));
  EXPECT_THAT(response.platform(), Not(IsEmpty()));
  ASSERT_EQ(response.inputs_size(), 1);
  EXPECT_EQ(response.inputs(0).name(), "AUDIO");
  EXPECT_EQ(response.inputs(0).datatype(), "BYTES");
  EXPECT_THAT(response.inputs(0).shape(), ElementsAre(-1));
  ASSERT_EQ(response.outputs_size(), 3);
  EXPECT_EQ(response.outputs(0).name(), "makam");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(-1, 3));
  EXPECT_EQ(response.outputs(2).name(), "LABELS");
  EXPECT_EQ(response.outputs(2).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(2).shape(), ElementsAre(-1));
  EXPECT_EQ(response.properties().at("license"), "CC0-1.0");
}

}  // namespace
}  // namespace culturetag
