// What chooses a replica for each request.
//
// Not thread-safe.
#ifndef CULTURETAG_SIMULATOR_BALANCER_H_
#define CULTURETAG_SIMULATOR_BALANCER_H_

#include <cstdint>
#include <memory>

namespace culturetag::simulator {

enum class BalancerKind {
  kRoundRobin,
  kLeastOutstanding,  // the replica with the fewest requests; of several, the one whose last request is the longest ago
  kRandomOfTwo,       // of two drawn at random, the one with fewer requests
};

class Balancer {
 public:
  virtual ~Balancer() = default;

  // The replica for the next request, from 0 to the number of replicas - 1.
  virtual size_t Pick() = 0;

  // A request that `replica` accepted begins or has ended.
  virtual void Begin(size_t replica) = 0;
  virtual void End(size_t replica) = 0;
};

// For at least one replica. `seed` is for kRandomOfTwo.
std::unique_ptr<Balancer> MakeBalancer(BalancerKind kind, size_t replicas, uint64_t seed);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_BALANCER_H_
