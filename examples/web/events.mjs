// Print the events of `rtemo serve --publish web`, over server-sent events, and count what is lost on the way.
// Run: node events.mjs [http://127.0.0.1:8765] [COUNT]; a token goes into RTEMO_TOKEN. Node 18 or newer, nothing else.
const [origin = "http://127.0.0.1:8765", count = "Infinity"] = process.argv.slice(2);
const seen = new Map(); // call, channel and kind → seq of the last event
let lastId = ""; // where to go on after the connection was lost
let received = 0;
let lost = 0;

function told(type, data) {
  if (type === "snapshot") {
    seen.clear(); // what came before is in it, or too old
    console.log(`snapshot of ${JSON.parse(data).calls.length} calls`);
    return;
  }
  const event = JSON.parse(data);
  const topic = `${event.call}/${event.channel} ${event.kind}`;
  lost += Math.max(0, event.seq - (seen.get(topic) ?? event.seq - 1) - 1);
  seen.set(topic, event.seq);
  received += 1;
  console.log(event.kind === "emotion" ? `${topic} ${event.data.label} ${event.data.arousal}` : topic);
}

async function follow() {
  const headers = lastId ? { "Last-Event-ID": lastId } : {};
  if (process.env.RTEMO_TOKEN) headers.Authorization = `Bearer ${process.env.RTEMO_TOKEN}`;
  const answer = await fetch(`${origin}/v1/events/stream`, { headers });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}: ${await answer.text()}`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of answer.body) {
    text += decoder.decode(part, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = new Map(text.slice(0, end).split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
      text = text.slice(end + 2);
      if (!fields.has("data")) continue; // a sign of life
      lastId = fields.get("id");
      told(fields.get("event"), fields.get("data"));
      if (received >= Number(count)) return;
    }
  }
}

while (received < Number(count)) {
  try {
    await follow();
  } catch (error) {
    console.error(`${error.cause?.message ?? error.message}; trying again`);
  }
  if (received < Number(count)) await new Promise((resolve) => setTimeout(resolve, 1000));
}
console.log(`received ${received}, lost ${lost}`);
process.exit(0);
