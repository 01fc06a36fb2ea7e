// One room over WebSocket with k6: k6 run -e BASE=http://127.0.0.1:8080 -e CLIENTS=500 -e RATE=20 tests/load/k6/room.js
//
// Every client checks the client rule (same epoch, next version, prev is the digest held) and measures from the moment
// at which the command was due to its receipt. k6 spends far more CPU time per message than the server; for what the
// server can do on one machine use talusload.
import { fail } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";
import { WebSocket } from "k6/websockets";

const base = __ENV.BASE || "http://127.0.0.1:8080";
const json = { headers: { "Content-Type": "application/json", Prefer: "return=minimal" } };
const seconds = Number(__ENV.SECONDS || 30);
const rate = Number(__ENV.RATE || 20);

const receipt = new Trend("talus_receipt", true);
const deliveries = new Counter("talus_deliveries");
const violations = new Counter("talus_violations");

export const options = {
  scenarios: {
    clients: {
      executor: "per-vu-iterations",
      vus: Number(__ENV.CLIENTS || 500),
      iterations: 1,
      maxDuration: `${seconds + 30}s`,
      exec: "watch",
    },
    commands: {
      executor: "constant-arrival-rate",
      rate,
      timeUnit: "1s",
      startTime: "5s",
      duration: `${seconds - 5}s`,
      preAllocatedVUs: 32,
      exec: "change",
    },
  },
  thresholds: { talus_violations: ["count==0"], talus_deliveries: ["count>0"], http_req_failed: ["rate==0"] },
};

export function setup() {
  const body = JSON.stringify({ template_id: "software-project", project_name: "k6" });
  const made = http.post(`${base}/api/v1/projects`, body, json).json();
  if (!made.session_id) fail("no session");
  return { id: made.session_id, root: made.graph.roots[0].id };
}

export function watch(session) {
  const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws?session_id=${session.id}`);
  let at; // [epoch, version, digest]
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "joined") at = frame.position.split(".");
    if (frame.type !== "commit") return;
    const next = frame.position.split(".");
    if (!at || next[0] !== at[0] || Number(next[1]) !== Number(at[1]) + 1 || frame.prev !== at[2]) violations.add(1);
    at = next;
    deliveries.add(1);
    for (const { event, data: own } of frame.events) {
      if (event === "graph:property-changed") receipt.add(Date.now() - Number(own.new_value));
    }
  };
  socket.onopen = () => setTimeout(() => socket.close(), seconds * 1000);
}

export function change(session) {
  const due = exec.scenario.startTime + (exec.scenario.iterationInTest * 1000) / rate;
  const command = {
    session_id: session.id,
    command_type: "UpdateProperty",
    data: { node_id: session.root, property_id: "repository", new_value: String(Math.round(due)) },
  };
  http.post(`${base}/api/v1/commands/execute`, JSON.stringify(command), json);
}
