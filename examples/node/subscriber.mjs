// Print the events of an rtemo publisher and count what is lost on the way.
// Run: npm ci && node subscriber.mjs [tcp://127.0.0.1:5570] [PREFIX] [COUNT]
import { Subscriber } from "zeromq";

const [endpoint = "tcp://127.0.0.1:5570", prefix = "v1/main/", count = "Infinity"] = process.argv.slice(2);
const seen = new Map(); // topic → seq of its last event
let epoch = ""; // life of the publisher: another one means that it was restarted and counts anew
let received = 0;
let lost = 0;

const socket = new Subscriber({ receiveHighWaterMark: 10_000 });
socket.connect(endpoint);
socket.subscribe(prefix);

function renew(message) {
  if (epoch && message.epoch !== epoch) console.error("the publisher was restarted");
  if (message.epoch !== epoch) seen.clear();
  epoch = message.epoch;
}

function expect(topic, seq) {
  lost += Math.max(0, seq - (seen.get(topic) ?? seq));
  seen.set(topic, seq);
}

for await (const [frame, body] of socket) {
  const topic = frame.toString();
  const message = JSON.parse(body.toString());
  renew(message);
  if (topic.endsWith("/_hb/")) {
    // A heartbeat of a call tells the last number of its topics: a loss that no later event would show.
    for (const [name, seq] of Object.entries(message.seqs ?? {})) expect(name, seq);
    continue;
  }
  expect(topic, message.seq - 1); // what should have come before
  seen.set(topic, message.seq);
  const { call, channel, kind, t1_ms, data } = message; // unknown kinds and fields are no mistake
  console.log(`${(t1_ms / 1000).toFixed(2)} s  ${call || "-"}/${channel || "-"}  ${kind}  ${data.label ?? ""}`.trimEnd());
  if (++received >= Number(count)) break;
}
console.log(`received ${received}, lost ${lost}`);
