package main

import (
	"math"
	"math/rand"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// A sender sends one body and waits for the answer. It returns "" or what the failure is called.
type sender func(body []byte) string

// What became of one request of the measured time.
type outcome struct {
	failure string
	latency time.Duration
}

type load struct {
	send     sender
	bodies   [][]byte
	warmup   time.Duration
	measured time.Duration
}

// runClosed keeps `concurrency` requests under way, and returns those that were answered in the measured time.
func (l load) runClosed(concurrency int) []outcome {
	begin := time.Now().Add(l.warmup)
	end := begin.Add(l.measured)
	var next atomic.Int64
	results := make([][]outcome, concurrency)
	var callers sync.WaitGroup
	for caller := range results {
		callers.Go(func() {
			for again := true; again; again = time.Now().Before(end) {
				sent := time.Now()
				failure := l.send(l.body(int(next.Add(1))))
				if done := time.Now(); done.After(begin) && !done.After(end) {
					results[caller] = append(results[caller], outcome{failure, done.Sub(sent)})
				}
			}
		})
	}
	callers.Wait()
	var all []outcome
	for _, some := range results {
		all = append(all, some...)
	}
	return all
}

// runOpen sends a request at each of `arrivals`, which rise, and returns those that were due in the measured time.
func (l load) runOpen(arrivals []time.Duration) []outcome {
	results := make([]outcome, len(arrivals))
	start := time.Now()
	var requests sync.WaitGroup
	for i, arrival := range arrivals {
		due := start.Add(arrival)
		time.Sleep(time.Until(due))
		requests.Go(func() {
			failure := l.send(l.body(i))
			results[i] = outcome{failure, time.Since(due)}
		})
	}
	requests.Wait()
	first := sort.Search(len(arrivals), func(i int) bool { return arrivals[i] >= l.warmup })
	return results[first:]
}

func (l load) body(index int) []byte { return l.bodies[index%len(l.bodies)] }

// poissonArrivals gives the times of independent callers who together make `rate` requests a second.
func poissonArrivals(rate float64, length time.Duration, seed int64) []time.Duration {
	random := rand.New(rand.NewSource(seed))
	var arrivals []time.Duration
	for at := 0.0; ; {
		at += random.ExpFloat64() / rate
		if at >= length.Seconds() {
			return arrivals
		}
		arrivals = append(arrivals, duration(at))
	}
}

type summary struct {
	Answered  int                `json:"answered"`
	Failures  map[string]int     `json:"failures"`
	PerSecond float64            `json:"per_second"` // answered
	Latency   map[string]float64 `json:"latency_ms"` // of those
}

func summarize(outcomes []outcome, measured time.Duration) summary {
	result := summary{Failures: map[string]int{}, Latency: map[string]float64{}}
	var latencies []time.Duration
	for _, one := range outcomes {
		if one.failure == "" {
			latencies = append(latencies, one.latency)
		} else {
			result.Failures[one.failure]++
		}
	}
	result.Answered = len(latencies)
	result.PerSecond = float64(len(latencies)) / measured.Seconds()
	if len(latencies) == 0 {
		return result
	}
	sort.Slice(latencies, func(i, k int) bool { return latencies[i] < latencies[k] })
	for name, percent := range map[string]float64{"p50": 50, "p90": 90, "p99": 99, "max": 100} {
		result.Latency[name] = percentile(latencies, percent).Seconds() * 1000
	}
	return result
}

// percentile is the smallest value that at least `percent` of the `sorted` ones don't exceed.
func percentile(sorted []time.Duration, percent float64) time.Duration {
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
