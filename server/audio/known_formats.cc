#include "audio/known_formats.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/match.h"

namespace culturetag {
namespace {

// A literal with zeros in it.
template <size_t N>
constexpr absl::string_view Bytes(const char (&literal)[N]) {
  return {literal, N - 1};
}

struct Magic {
  absl::string_view start;
  absl::string_view at_eight = {};  // what the bytes from the eighth on must be, too
};

constexpr Magic kMagics[] = {
    {"RIFF", "WAVE"}, {"RIFX", "WAVE"}, {"RF64", "WAVE"}, {"riff"},  // WAV, RF64, W64
    {"FORM", "AIFF"}, {"FORM", "AIFC"}, {"FORM", "8SVX"}, {"FORM", "16SV"},
    {"caff", "desc"},                                                // CAF
    {"fLaC"},                                                        // FLAC
    {"OggS"},                                                        // Ogg
    {"ID3"},                                                         // a tag before MPEG, FLAC or others
    {".snd"}, {"dns."},                                              // AU
    {" paf"}, {"fap "},                                              // PAF
    {"NIST"},                                                        // NIST Sphere
    {"Creative"},                                                    // VOC
    {"PVF1"},                                                        // PVF
    {"2BIT"},                                                        // AVR
    {"MATLAB 5"},                                                    // MAT5
    {"Extended Ins"},                                                // XI
    {"ALawSoundFil"},                                                // Psion WVE
    {"\x01\x04"},                                                    // MPC 2000
    {Bytes("\0\0\x03\xe8\0\0\0\x01\0\0\0\x01")},                     // MAT4, big-endian
    {Bytes("\0\0\0\0\x01\0\0\0\x01\0\0\0")},                         // MAT4, little-endian
    {"", Bytes("\0\x02\0\0")},                                       // HTK: 16-bit samples
};

// The magic numbers of these have parts that vary.
bool OpensLikeIrcam(const unsigned char* bytes) {
  const bool little = bytes[0] == 0x64 && bytes[1] == 0xa3 && (bytes[2] & 0xf8) == 0 && bytes[3] == 0;
  const bool big = bytes[0] == 0 && (bytes[1] & 0xf8) == 0 && bytes[2] == 0xa3 && bytes[3] == 0x64;
  return little || big;
}
bool OpensLikeSds(const unsigned char* bytes) { return bytes[0] == 0xf0 && bytes[1] == 0x7e && bytes[2] < 0x80 && bytes[3] == 1; }
bool OpensLikeMpeg(const unsigned char* bytes) { return bytes[0] == 0xff && (bytes[1] & 0xe0) == 0xe0; }

}  // namespace

bool OpensLikeAudio(absl::string_view bytes) {
  constexpr size_t kLongestMagic = 12;
  if (bytes.size() < kLongestMagic) return false;  // no format's header is that short
  const auto has_magic = [bytes](const Magic& magic) {
    return absl::StartsWith(bytes, magic.start) && absl::StartsWith(bytes.substr(8), magic.at_eight);
  };
  if (std::any_of(std::begin(kMagics), std::end(kMagics), has_magic)) return true;
  const auto* const raw = reinterpret_cast<const unsigned char*>(bytes.data());
  return OpensLikeIrcam(raw) || OpensLikeSds(raw) || OpensLikeMpeg(raw);
}

}  // namespace culturetag
