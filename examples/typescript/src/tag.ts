// Tags audio files with a culturetag server and prints one line a tag: file, head, label and score, separated by tabs.
// With --stream it uploads the files in chunks and prints each window's tags as soon as they are scored.
//
// Exits with 1 if a file failed, after the others have been tagged.
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { type ClientDuplexStream, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";

import {
  Audio,
  type HeadResult,
  TaggingServiceClient,
  TagRequest,
  type TagResponse,
  TagStreamConfig,
  type TagStreamRequest,
  type TagStreamResponse,
} from "./gen/culturetag/v1/tagging.js";

// What may pass is tried again by gRPC itself, after the wait that the server asks for in `grpc-retry-pushback-ms`.
const SERVICE_CONFIG = {
  loadBalancingConfig: [],
  methodConfig: [
    {
      name: [{ service: "culturetag.v1.TaggingService" }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.2s",
        maxBackoff: "5s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
      },
    },
  ],
};
const CHUNK_BYTES = 256 * 1024;
const CALL_TIMEOUT_MS = 60_000;

type Stream = ClientDuplexStream<TagStreamRequest, TagStreamResponse>;

interface Options {
  heads: string[];
  topK: number;
}

function connect(server: string): TaggingServiceClient {
  return new TaggingServiceClient(server, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.per_rpc_retry_buffer_size": 2 ** 31 - 1, // only what is kept can be sent again
    "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
  });
}

const deadline = () => ({ deadline: Date.now() + CALL_TIMEOUT_MS });

/** Sends the file in one message. */
async function tagFile(client: TaggingServiceClient, path: string, { heads, topK }: Options): Promise<void> {
  const audio = Audio.fromPartial({ source: { $case: "encoded", value: await readFile(path) } });
  const request = TagRequest.fromPartial({ audio, heads, topK });
  const response = await new Promise<TagResponse>((resolve, reject) =>
    client.tag(request, new Metadata(), deadline(), (error, answer) => (error ? reject(error) : resolve(answer))),
  );
  printHeads(path, response.heads);
}

/** Uploads the file in chunks while it prints the windows that come back. */
async function streamFile(client: TaggingServiceClient, path: string, options: Options): Promise<void> {
  const call = client.tagStream(deadline());
  try {
    await Promise.all([upload(call, path, options), printResponses(call, path)]);
  } finally {
    call.cancel(); // where one of the two failed, so that the other ends, too
  }
}

async function upload(call: Stream, path: string, { heads, topK }: Options): Promise<void> {
  call.write({ message: { $case: "config", value: TagStreamConfig.fromPartial({ heads, topK }) } });
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const isRoom = call.write({ message: { $case: "data", value: chunk as Uint8Array } });
    if (!isRoom) await once(call, "drain");
  }
  call.end();
}

async function printResponses(call: Stream, path: string): Promise<void> {
  for await (const { message } of call as AsyncIterable<TagStreamResponse>) {
    if (message?.$case === "window") {
      printHeads(`${path}@${message.value.startOffset?.seconds ?? 0}s`, message.value.heads);
    } else if (message?.$case === "summary") {
      printHeads(path, message.value.heads);
    }
  }
}

function printHeads(name: string, heads: HeadResult[]): void {
  for (const { head, tags } of heads) {
    for (const tag of tags) {
      console.log([name, head, tag.label, tag.score.toFixed(4)].join("\t"));
    }
  }
}

/** The server's words, and when it wants to be asked again. */
function explain(error: unknown): string {
  if (!(error instanceof Error) || !("metadata" in error)) return String(error);
  const failure = error as ServiceError;
  const [wait] = failure.metadata.get("grpc-retry-pushback-ms");
  return `${status[failure.code]}: ${failure.details}${wait ? ` (try again in ${wait} ms)` : ""}`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: "string", default: "localhost:50051" },
    heads: { type: "string", default: "" },
    "top-k": { type: "string", default: "5" },
    stream: { type: "boolean", default: false },
  },
});
const options = { heads: values.heads ? values.heads.split(",") : [], topK: Number(values["top-k"]) };
const client = connect(values.server);
for (const path of positionals) {
  try {
    await (values.stream ? streamFile : tagFile)(client, path, options);
  } catch (error) {
    console.error(`${path}: ${explain(error)}`);
    process.exitCode = 1;
  }
}
client.close();
