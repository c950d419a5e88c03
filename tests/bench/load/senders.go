package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Several connections, as several callers have: one would serialise its frames, and HTTP/1.1 opens as many as it needs.
const grpcConnections = 4

func newSender(target, contentType string, timeout time.Duration) (sender, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	switch parsed.Scheme {
	case "http":
		return httpSender(target, contentType, timeout), nil
	case "grpc":
		return grpcSender(parsed.Host, parsed.Path, timeout)
	}
	return nil, fmt.Errorf("-url must begin with http:// or grpc://, not %q", target)
}

// httpSender calls what isn't 200 by its status.
func httpSender(target, contentType string, timeout time.Duration) sender {
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 10000}}
	return func(body []byte) string {
		response, err := client.Post(target, contentType, bytes.NewReader(body))
		if err != nil {
			return "no answer"
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return "no answer"
		}
		if response.StatusCode != http.StatusOK {
			return response.Status
		}
		return ""
	}
}

func grpcSender(address, method string, timeout time.Duration) (sender, error) {
	var connections [grpcConnections]*grpc.ClientConn
	for i := range connections {
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDisableRetry(), grpc.WithDefaultCallOptions(grpc.ForceCodec(asIs{}), grpc.MaxCallRecvMsgSize(1<<30)))
		if err != nil {
			return nil, err
		}
		connections[i] = connection
	}
	var next atomic.Uint64
	return func(body []byte) string {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		var answer []byte
		err := connections[next.Add(1)%grpcConnections].Invoke(ctx, method, body, &answer)
		if err != nil {
			return status.Code(err).String()
		}
		return ""
	}, nil
}

// asIs sends messages that are serialised already, and doesn't parse answers: the generator shares the server's cores.
type asIs struct{}

func (asIs) Name() string { return "proto" }

func (asIs) Marshal(message any) ([]byte, error) {
	body, ok := message.([]byte)
	if !ok {
		return nil, errors.New("not serialised")
	}
	return body, nil
}

func (asIs) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = data
	return nil
}
