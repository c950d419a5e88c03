package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestAClosedLoopKeepsAsManyUnderWayAsItShould(t *testing.T) {
	const concurrency = 3
	var underWay atomic.Int64
	together := make(chan struct{})
	send := func([]byte) string {
		if underWay.Add(1) == concurrency {
			close(together)
		}
		<-together // which only comes about with all of them
		return ""
	}
	load{send: send, bodies: [][]byte{{}}, measured: time.Nanosecond}.runClosed(concurrency)
	if got := underWay.Load(); got != concurrency {
		t.Errorf("%d requests were sent, want %d", got, concurrency)
	}
}

func TestAnOpenLoopSendsEveryArrivalAndCountsThoseBehindTheWarmUp(t *testing.T) {
	var sent atomic.Int64
	send := func([]byte) string { sent.Add(1); return "busy" }
	one := load{send: send, bodies: [][]byte{{1}, {2}}, warmup: 2}
	outcomes := one.runOpen([]time.Duration{0, 1, 2, 3, 4})
	if sent.Load() != 5 || len(outcomes) != 3 {
		t.Errorf("%d sent and %d counted, want 5 and 3", sent.Load(), len(outcomes))
	}
}

func TestAnOpenLoopsLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	const late = time.Hour
	one := load{send: func([]byte) string { return "" }, bodies: [][]byte{{}}, warmup: -2 * late}
	outcomes := one.runOpen([]time.Duration{-late})
	if outcomes[0].latency < late {
		t.Errorf("latency is %v, want at least %v", outcomes[0].latency, late)
	}
}

func TestArrivalsHaveTheRateAndComeFromTheSeed(t *testing.T) {
	arrivals := poissonArrivals(100, time.Minute, 1)
	if got := len(arrivals); got < 5700 || got > 6300 { // four standard deviations around 6000
		t.Errorf("%d arrivals, want about 6000", got)
	}
	again := poissonArrivals(100, time.Minute, 1)
	if arrivals[17] != again[17] {
		t.Errorf("the same seed gave %v and %v", arrivals[17], again[17])
	}
}

func TestTheSummaryCountsFailuresApart(t *testing.T) {
	outcomes := []outcome{{"", 3 * time.Millisecond}, {"503", time.Hour}, {"", time.Millisecond}, {"", 2 * time.Millisecond}}
	got := summarize(outcomes, 2*time.Second)
	if got.Answered != 3 || got.PerSecond != 1.5 || got.Failures["503"] != 1 {
		t.Errorf("got %+v", got)
	}
	if got.Latency["p50"] != 2 || got.Latency["p99"] != 3 || got.Latency["max"] != 3 {
		t.Errorf("latencies are %v", got.Latency)
	}
}

func TestAnHTTPFailureIsCalledByItsStatus(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "full", http.StatusServiceUnavailable) }
	server := httptest.NewServer(http.HandlerFunc(refuse))
	defer server.Close()
	send, err := newSender(server.URL, "audio/flac", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := send([]byte("clip")); got != "503 Service Unavailable" {
		t.Errorf("the failure is %q", got)
	}
}

func TestAURLOfAnotherKindIsRefused(t *testing.T) {
	if _, err := newSender("ftp://localhost/", "", time.Minute); err == nil {
		t.Error("it was taken")
	}
}
