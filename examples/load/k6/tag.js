// An open loop: clips arrive at a rising rate, whether answers come or not.
//
//     load/request.sh clip.flac makam > /tmp/request.json
//     k6 run -e SERVER=localhost:50051 -e REQUEST=/tmp/request.json load/k6/tag.js
//
// The server describes itself by reflection, so that no proto is needed.
import { check } from "k6";
import exec from "k6/execution";
import { Rate } from "k6/metrics";
import grpc from "k6/net/grpc";

export const options = {
  scenarios: {
    clips: {
      executor: "ramping-arrival-rate",
      startRate: 1,
      timeUnit: "1s",
      preAllocatedVUs: 50,
      maxVUs: 500,
      stages: [
        { target: 10, duration: "1m" },
        { target: 10, duration: "1m" },
      ],
    },
  },
  thresholds: {
    grpc_req_duration: ["p(99)<5000"],
    refused: ["rate<0.01"],
    checks: ["rate>0.99"],
  },
};

const client = new grpc.Client();
const request = JSON.parse(open(__ENV.REQUEST));
const refused = new Rate("refused");

export default function tag() {
  if (exec.vu.iterationInInstance === 0) {
    client.connect(__ENV.SERVER || "localhost:50051", { plaintext: true, reflect: true });
  }
  const response = client.invoke("culturetag.v1.TaggingService/Tag", request, {
    metadata: { "x-client-id": "k6" },
    timeout: "30s",
  });
  refused.add(response.status === grpc.StatusResourceExhausted);
  check(response, { tagged: ({ status }) => status === grpc.StatusOK });
}
