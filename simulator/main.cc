// Simulates replicas of culturetag-server; everything is in cli.h.
#include <unistd.h>

#include <iostream>

#include "simulator/cli.h"

int main(int argc, char** argv) {
  return culturetag::simulator::RunCli(argc, argv, {std::cout, std::cerr, isatty(STDERR_FILENO) != 0});
}
