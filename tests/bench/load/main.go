// Loads one server and measures what its callers would feel. One program for HTTP and for gRPC: what differs between two
// servers' figures is then not the generator's doing.
//
//	load -url http://127.0.0.1:8000/predict -concurrency 16 -seconds 10 BODY...
//	load -url grpc://127.0.0.1:50051/culturetag.v1.TaggingService/Tag -rate 20 -seconds 10 BODY...
//
// Each BODY is a file that holds a request's bytes as they go over the wire: an HTTP body, or a serialised message. They are
// sent in turns. With -concurrency the loop is closed: a request is sent when another was answered. With -rate it is open:
// requests are sent when they are due, at random intervals, whatever became of those before, and their latency counts from
// then. What happens in the first -warmup seconds isn't counted. One line of JSON on standard output.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	url := flag.String("url", "", "http://HOST:PORT/PATH or grpc://HOST:PORT/SERVICE/METHOD")
	contentType := flag.String("content-type", "application/octet-stream", "of HTTP bodies")
	concurrency := flag.Int("concurrency", 0, "closed loop: requests under way at once")
	rate := flag.Float64("rate", 0, "open loop: requests a second")
	seconds := flag.Float64("seconds", 10, "how long to measure")
	warmup := flag.Float64("warmup", 2, "seconds before that")
	timeout := flag.Duration("timeout", 2*time.Minute, "of a request")
	flag.Parse()
	if (*concurrency > 0) == (*rate > 0) || flag.NArg() == 0 {
		fail(fmt.Errorf("either -concurrency or -rate, and at least one BODY"))
	}

	var bodies [][]byte
	for _, path := range flag.Args() {
		body, err := os.ReadFile(path)
		fail(err)
		bodies = append(bodies, body)
	}
	send, err := newSender(*url, *contentType, *timeout)
	fail(err)
	load := load{send: send, bodies: bodies, warmup: duration(*warmup), measured: duration(*seconds)}
	var outcomes []outcome
	if *concurrency > 0 {
		outcomes = load.runClosed(*concurrency)
	} else {
		outcomes = load.runOpen(poissonArrivals(*rate, load.warmup+load.measured, 1))
	}
	fail(json.NewEncoder(os.Stdout).Encode(summarize(outcomes, load.measured)))
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}
