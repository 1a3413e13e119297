// Trends: arousal, valence and rank of a party over the last minutes, on a canvas; each line has its own dashes too.
// By ourselves: three lines and a band need no chart library with axes, cursor and legend, nor its DOM in every row.

const SPAN_S = 180;
const POINTS = 240;

let colours = null;

export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  colours = { arousal: get("--arousal"), valence: get("--valence"), rank: get("--rank"), band: get("--band"), line: get("--line") };
}

export class Trends {
  constructor() {
    this.byCall = new Map();
  }

  snapshot(rows) {
    this.byCall.clear();
    for (const row of rows) this.byCall.set(row.call, new Map(Object.entries(row.trend || {})));
  }

  update(row) {
    for (const channel of row.channels || []) {
      if (!channel.emotion) continue;
      let channels = this.byCall.get(row.call);
      if (!channels) this.byCall.set(row.call, (channels = new Map()));
      let points = channels.get(channel.channel);
      if (!points) channels.set(channel.channel, (points = []));
      const last = points[points.length - 1];
      const rank = Object.values(channel.ranks || {})[0];
      const point = [channel.t_s || 0, channel.emotion.arousal, channel.emotion.valence, rank?.score ?? null, rank?.spread ?? null];
      if (last && point[0] < last[0]) points.length = 0; // the stream began anew
      if (last && point[0] - last[0] < 0.4) continue;
      points.push(point);
      if (points.length > POINTS) points.shift();
    }
  }

  forget(call) {
    this.byCall.delete(call);
  }

  points(call, channel) {
    const channels = this.byCall.get(call);
    if (!channels) return [];
    return channels.get(channel) || [];
  }
}

export function draw(canvas, points, spanS = SPAN_S) {
  if (!colours) readColours();
  const ratio = Math.min(2, devicePixelRatio || 1);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineJoin = "round";
  pen.lineCap = "round";
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1;
  pen.setLineDash([]);
  pen.beginPath();
  pen.moveTo(0, height / 2);
  pen.lineTo(width, height / 2);
  pen.stroke();
  if (points.length < 1) return;
  const endS = points[points.length - 1][0];
  const startS = Math.max(points[0][0], endS - spanS);
  const x = (t) => 3 + ((width - 8) * (t - startS)) / Math.max(20, endS - startS);
  const y = (v) => height / 2 - Math.max(-1, Math.min(1, v)) * (height / 2 - 3);
  const shown = points.filter((point) => point[0] >= startS);
  const ranked = shown.filter((point) => point[3] !== null);
  if (ranked.length > 1) {
    const z = (v) => y(v / 3); // in standard deviations
    pen.fillStyle = colours.band;
    pen.beginPath();
    ranked.forEach((p, i) => pen[i ? "lineTo" : "moveTo"](x(p[0]), z(p[3] + (p[4] || 0))));
    for (const p of [...ranked].reverse()) pen.lineTo(x(p[0]), z(p[3] - (p[4] || 0)));
    pen.fill();
    line(pen, ranked, (p) => x(p[0]), (p) => z(p[3]), colours.rank, 1.4, [1.5, 4]);
  }
  line(pen, shown, (p) => x(p[0]), (p) => y(p[2]), colours.valence, 1.8, [6, 4]);
  line(pen, shown, (p) => x(p[0]), (p) => y(p[1]), colours.arousal, 2.2, []);
  const last = shown[shown.length - 1];
  for (const [column, colour] of [[2, colours.valence], [1, colours.arousal]]) {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x(last[0]), y(last[column]), 2.8, 0, 7);
    pen.fill();
  }
}

function line(pen, points, x, y, colour, width, dashes) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dashes);
  pen.beginPath();
  points.forEach((point, i) => pen[i ? "lineTo" : "moveTo"](x(point), y(point)));
  pen.stroke();
}
