// The connection: one WebSocket that tells rows, opened again by itself, and a watch over how long it has been silent.

const LOST_MS = 1500; // without a word for so long the connection is taken for lost; the server says something every 250 ms
const LEAST_WAIT_MS = 300;
const MOST_WAIT_MS = 4000;

export class Link {
  // handlers: snapshot(message), update(message), state("live" | "lost" | "wait"), refused()
  constructor(handlers) {
    this.handlers = handlers;
    this.heardMs = performance.now();
    this.waitMs = LEAST_WAIT_MS;
    this.state = "wait";
    this.token = sessionStorage.getItem("rtemo-token") || "";
    setInterval(() => this.watch(), 200);
  }

  open() {
    const url = new URL("/v1/ws?view=calls", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const protocols = ["rtemo.v1"];
    if (this.token) protocols.push("bearer." + this.token);
    const socket = new WebSocket(url, protocols);
    this.socket = socket;
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heardMs = performance.now();
      const message = JSON.parse(event.data);
      this.waitMs = LEAST_WAIT_MS;
      if (message.type === "snapshot") this.handlers.snapshot(message);
      else if (message.type === "update") this.handlers.update(message);
      this.say("live");
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.socket = null;
      this.say("lost");
      this.again();
    };
  }

  setToken(token) {
    this.token = token;
    sessionStorage.setItem("rtemo-token", token);
    this.open();
  }

  // Says something to the server; whoever may only read is refused, which is no trouble.
  post(path, body) {
    const headers = { "Content-Type": "application/json" };
    if (this.token) headers.Authorization = "Bearer " + this.token;
    fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {});
  }

  // A browser does not say why a WebSocket was refused; a plain request does.
  async again() {
    const waitMs = this.waitMs * (0.7 + 0.6 * Math.random());
    this.waitMs = Math.min(MOST_WAIT_MS, this.waitMs * 1.7);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    let status = 0;
    try {
      const headers = this.token ? { Authorization: "Bearer " + this.token } : {};
      status = (await fetch("/v1/calls?prefix=%00", { headers, signal: AbortSignal.timeout(1500) })).status;
    } catch {
      // Nobody is there: it is tried again.
    }
    if (status === 401 || status === 403) this.handlers.refused();
    else if (status === 200) this.open();
    else this.again();
  }

  watch() {
    if (this.state !== "live" || performance.now() - this.heardMs < LOST_MS) return;
    this.say("lost");
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
    this.again();
  }

  say(state) {
    if (state === this.state) return;
    this.state = state;
    this.handlers.state(state);
  }
}
