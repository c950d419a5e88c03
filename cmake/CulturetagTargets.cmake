# What every target of this project has in common.
find_package(Threads REQUIRED)

add_library(culturetag_options INTERFACE)
target_compile_options(culturetag_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type)
target_link_libraries(culturetag_options INTERFACE Threads::Threads)
if(CULTURETAG_SANITIZER STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(CULTURETAG_SANITIZER STREQUAL "thread")
  set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
elseif(CULTURETAG_SANITIZER)
  message(FATAL_ERROR "CULTURETAG_SANITIZER is `${CULTURETAG_SANITIZER}`; it may be empty, `address` or `thread`")
endif()
if(sanitize)
  target_compile_options(culturetag_options INTERFACE ${sanitize})
  target_link_options(culturetag_options INTERFACE ${sanitize})
endif()

# culturetag_library(NAME SOURCES ... PUBLIC ... PRIVATE ...): one folder's library. Headers are included by their path
# below server/, for example "audio/decoder.h".
function(culturetag_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/server)
  target_link_libraries(${name} PUBLIC culturetag_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# culturetag_test(NAME SOURCES ... LIBS ...): one GoogleTest program; every TEST in it is a ctest of its own.
function(culturetag_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE culturetag_options ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  if(CULTURETAG_SANITIZER STREQUAL "thread")
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/tsan/absl_synchronization_annotations.cc)
    target_link_libraries(${name} PRIVATE absl::synchronization ${CMAKE_DL_LIBS})
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()
