// Messages written as protobuf's text format, so that a test shows its input at a glance.
#ifndef CULTURETAG_TESTS_CLIENT_PARSE_TEXT_H_
#define CULTURETAG_TESTS_CLIENT_PARSE_TEXT_H_

#include <string>

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace culturetag::client {

template <typename Message>
Message ParseText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

}  // namespace culturetag::client

#endif  // CULTURETAG_TESTS_CLIENT_PARSE_TEXT_H_
