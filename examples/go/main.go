// Tag tags audio files with a culturetag server and prints one line a tag: file, head, label and score, separated by
// tabs. With -stream it uploads the files in chunks and prints each window's tags as soon as they are scored.
//
// Exits 1 if a file failed, after the others have been tagged.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"culturetag.example/tag/taggingv1"
)

//go:generate buf generate ../../proto --path ../../proto/culturetag/v1/tagging.proto

// What may pass is tried again by gRPC itself, after the wait that the server asks for in `grpc-retry-pushback-ms`.
const serviceConfig = `{"methodConfig": [{
	"name": [{"service": "culturetag.v1.TaggingService"}],
	"retryPolicy": {
		"maxAttempts": 4,
		"initialBackoff": "0.2s",
		"maxBackoff": "5s",
		"backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
	}
}]}`

const (
	maxMessageBytes = 1<<31 - 1
	chunkBytes      = 256 << 10
)

// options are what the command line says about every file.
type options struct {
	heads   []string
	topK    int32
	timeout time.Duration
}

func main() {
	server := flag.String("server", "localhost:50051", "where culturetag-server listens")
	heads := flag.String("heads", "", "names of heads, separated by commas; empty: all")
	topK := flag.Int("top-k", 5, "the most tags for each head; 0: all")
	timeout := flag.Duration("timeout", time.Minute, "how long each file may take, retries included")
	stream := flag.Bool("stream", false, "upload in chunks, and print each window")
	flag.Parse()

	opts := options{topK: int32(*topK), timeout: *timeout}
	if *heads != "" {
		opts.heads = strings.Split(*heads, ",")
	}
	tag := tagFile
	if *stream {
		tag = streamFile
	}

	connection, err := connect(*server)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer connection.Close()
	client := taggingv1.NewTaggingServiceClient(connection)

	failed := false
	for _, path := range flag.Args() {
		if err := tag(client, path, opts); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s\n", path, explain(err))
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// connect returns at once; the connection is made with the first call.
func connect(server string) (*grpc.ClientConn, error) {
	return grpc.NewClient(server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxMessageBytes),
			grpc.MaxRetryRPCBufferSize(maxMessageBytes), // only what is kept can be sent again
		))
}

// tagFile sends the file in one message.
func tagFile(client taggingv1.TaggingServiceClient, path string, opts options) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), opts.timeout)
	defer cancel()
	response, err := client.Tag(ctx, &taggingv1.TagRequest{
		Audio: &taggingv1.Audio{Source: &taggingv1.Audio_Encoded{Encoded: data}},
		Heads: opts.heads,
		TopK:  opts.topK,
	})
	if err != nil {
		return err
	}
	printHeads(path, response.GetHeads())
	return nil
}

// streamFile uploads the file in chunks while it prints the windows that come back.
func streamFile(client taggingv1.TaggingServiceClient, path string, opts options) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil) // also ends an upload that the server no longer wants
	ctx, stop := context.WithTimeout(ctx, opts.timeout)
	defer stop()
	stream, err := client.TagStream(ctx)
	if err != nil {
		return err
	}

	go func() {
		if err := upload(stream, file, opts); err != nil {
			cancel(err)
		}
	}()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
		switch message := response.GetMessage().(type) {
		case *taggingv1.TagStreamResponse_Window:
			start := message.Window.GetStartOffset().AsDuration()
			printHeads(fmt.Sprintf("%s@%.0fs", path, start.Seconds()), message.Window.GetHeads())
		case *taggingv1.TagStreamResponse_Summary:
			printHeads(path, message.Summary.GetHeads())
		}
	}
}

// upload sends the config and the file, and half-closes. Its error is one of reading the file: why a message could not be
// sent, Recv knows.
func upload(stream taggingv1.TaggingService_TagStreamClient, file io.Reader, opts options) error {
	config := &taggingv1.TagStreamConfig{Heads: opts.heads, TopK: opts.topK}
	sent := stream.Send(&taggingv1.TagStreamRequest{Message: &taggingv1.TagStreamRequest_Config{Config: config}})
	chunk := make([]byte, chunkBytes)
	for sent == nil {
		size, err := file.Read(chunk)
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
		data := &taggingv1.TagStreamRequest_Data{Data: chunk[:size]}
		sent = stream.Send(&taggingv1.TagStreamRequest{Message: data})
	}
	return nil
}

func printHeads(name string, heads []*taggingv1.HeadResult) {
	for _, head := range heads {
		for _, tag := range head.GetTags() {
			fmt.Printf("%s\t%s\t%s\t%.4f\n", name, head.GetHead(), tag.GetLabel(), tag.GetScore())
		}
	}
}

// explain adds what the status's details say to its message: the fields at fault, and when to come back.
func explain(err error) string {
	failure, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	text := fmt.Sprintf("%s: %s", failure.Code(), failure.Message())
	for _, detail := range failure.Details() {
		switch detail := detail.(type) {
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				text += fmt.Sprintf(" (field %s)", violation.GetField())
			}
		case *errdetails.RetryInfo:
			text += fmt.Sprintf(" (try again in %s)", detail.GetRetryDelay().AsDuration())
		}
	}
	return text
}
