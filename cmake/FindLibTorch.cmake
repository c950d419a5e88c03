# Finds LibTorch as the `torch` wheel ships it and defines
#
#   LibTorch::headers   torch's headers, with the wheel's C++ ABI. They contain an old copy of protobuf's, so that this
#                       target must only ever be linked PRIVATE, by a target that includes no protobuf of its own.
#   LibTorch::torch     libtorch_cpu and libc10. CUDA is not linked: the server loads libtorch_cuda.so at run time where it
#                       finds it, so that one binary serves CPU and GPU. (The wheel's own CMake config demands a CUDA
#                       toolkit, which neither needs.)
#
# Searched: -DLIBTORCH_ROOT=DIR (a folder with include/ and lib/), then the virtual environment of scripts/setup.
file(GLOB _venv_torch ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
find_path(LIBTORCH_ROOT NAMES include/torch/script.h HINTS ${_venv_torch} DOC "Folder of the torch wheel")
find_library(LIBTORCH_CPU_LIBRARY torch_cpu HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_LIBRARY c10 HINTS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LIBTORCH_ROOT LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY
  REASON_FAILURE_MESSAGE "run scripts/setup, or pass -DLIBTORCH_ROOT=DIR")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::headers INTERFACE IMPORTED)
  target_include_directories(LibTorch::headers SYSTEM INTERFACE
    ${LIBTORCH_ROOT}/include ${LIBTORCH_ROOT}/include/torch/csrc/api/include)

  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_link_libraries(LibTorch::torch INTERFACE ${LIBTORCH_CPU_LIBRARY} ${LIBTORCH_C10_LIBRARY})
endif()
