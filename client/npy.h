// Arrays in NumPy's file format (NEP 1), which numpy.load reads.
#ifndef CULTURETAG_CLIENT_NPY_H_
#define CULTURETAG_CLIENT_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace culturetag::client {

// The bytes of a version 1.0 file that holds `values`, row-major, as little-endian float32 of that shape. The product
// of `shape` must be the number of values.
std::string NpyFile(const std::vector<int64_t>& shape, const std::vector<float>& values);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_NPY_H_
