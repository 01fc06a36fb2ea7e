// Commands over REST with k6: k6 run -e BASE=http://127.0.0.1:8080 -e SESSIONS=100 -e RATE=1000 tests/load/k6/rest.js
//
// Open loop: k6 starts RATE iterations per second whatever the answers do; dropped_iterations counts those for which
// no virtual user was free.
import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";

const base = `${__ENV.BASE || "http://127.0.0.1:8080"}/api/v1`;
const json = { headers: { "Content-Type": "application/json", Prefer: "return=minimal" } };

export const options = {
  scenarios: {
    changes: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 1000),
      timeUnit: "1s",
      duration: __ENV.DURATION || "30s",
      preAllocatedVUs: 64,
      maxVUs: 256,
    },
  },
  thresholds: { http_req_failed: ["rate==0"], "http_req_duration{name:execute}": ["p(99)<100"] },
};

export function setup() {
  const sessions = [];
  for (let i = 0; i < Number(__ENV.SESSIONS || 100); i++) {
    const body = JSON.stringify({ template_id: "software-project", project_name: `k6 ${i}` });
    const made = http.post(`${base}/projects`, body, json).json();
    sessions.push({ id: made.session_id, root: made.graph.roots[0].id });
  }
  return sessions;
}

export default function (sessions) {
  const n = exec.scenario.iterationInTest;
  const session = sessions[n % sessions.length];
  const command = {
    session_id: session.id,
    command_type: "UpdateProperty",
    data: { node_id: session.root, property_id: "repository", new_value: `k6 ${n}` },
  };
  const answer = http.post(`${base}/commands/execute`, JSON.stringify(command), { ...json, tags: { name: "execute" } });
  check(answer, { accepted: (a) => a.status === 200 });
}
