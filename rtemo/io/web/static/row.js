// A row of the wall: elements made once, filled again and again; nothing is set that has not changed.

import { draw } from "./trend.js";

const GLYPHS = {
  neutral: "–", calm: "◡", happy: "▲", sad: "▼", angry: "✦", fear: "◇", disgust: "✕", surprise: "●", unsure: "?",
};
const SPOOF = {
  spoof: ["⚠", "may be synthetic"],
  unknown: ["○", "voice: cannot tell"],
  bona_fide: ["✓", "voice: no sign"],
};

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function look(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const hours = Math.floor(whole / 3600);
  const rest = `${String(Math.floor(whole / 60) % 60).padStart(hours ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${rest}` : rest;
}

// The party that the call is about: who is analysed, and of several the one that sounds worst.
export function lead(row) {
  const parties = row.channels || [];
  let best = null;
  let most = -9;
  for (const party of parties) {
    const emotion = party.emotion;
    const value = party.analysis === "timing" ? -5 : emotion ? emotion.arousal - emotion.valence : -3;
    if (best === null || value > most) {
      best = party;
      most = value;
    }
  }
  return best;
}

export function emotionWords(party) {
  if (party.analysis === "timing") return ["timing", "◷", "timing only", ""];
  const emotion = party.emotion;
  if (!emotion) return ["none", "·", "not enough speech", ""];
  const sure = `${Math.round(emotion.confidence * 100)} %`;
  if (!emotion.is_trusted) return ["doubted", "⚠", `${emotion.label} (doubted)`, sure];
  if (emotion.label === "unsure") return ["unsure", GLYPHS.unsure, "unsure", sure];
  return [emotion.label, GLYPHS[emotion.label] || "•", emotion.label, sure];
}

export function spoofWords(party) {
  if (!party.spoof) return null;
  if (party.spoof.is_alarmed) return ["alarm", "⚠", "synthetic voice? alarm"];
  const [glyph, words] = SPOOF[party.spoof.verdict] || SPOOF.unknown;
  return [party.spoof.verdict, glyph, words];
}

export class Row {
  constructor(index) {
    const root = (this.root = make("article", "row"));
    root.setAttribute("role", "option");
    root.id = `row-${index}`;
    this.place = make("span", "place");
    this.name = make("strong", "name");
    this.who = make("span", "who");
    this.mood = make("span", "mood");
    this.glyph = make("i");
    this.glyph.setAttribute("aria-hidden", "true");
    this.label = make("b");
    this.sure = make("small");
    this.mood.append(this.glyph, this.label, this.sure);
    this.canvas = make("canvas", "trend");
    this.canvas.setAttribute("aria-hidden", "true");
    this.words = make("q", "words");
    this.badges = make("span", "badges");
    this.speaks = make("span", "speaks");
    const title = make("span", "title");
    title.append(this.name, this.who);
    root.append(this.place, title, this.mood, this.canvas, this.words, this.badges, this.speaks);
    this.shown = "";
  }

  // like: how much it is like the query by which calls are ordered, as a badge; null when by none
  fill(row, place, count, isSelected, openAlerts, points, y, like) {
    const { root } = this;
    root.hidden = false;
    const top = `translateY(${y}px)`;
    if (root.style.transform !== top) root.style.transform = top;
    root.dataset.call = row.call;
    const party = lead(row) || { channel: "", analysis: "person" };
    const [look_, glyph, label, sure] = emotionWords(party);
    const isEnded = row.is_open === false;
    look(root, "mood", look_);
    look(root, "state", isEnded ? "ended" : openAlerts.length ? "alert" : "open");
    root.setAttribute("aria-selected", String(isSelected));
    root.setAttribute("aria-posinset", String(place));
    root.setAttribute("aria-setsize", String(count));
    put(this.place, String(place));
    put(this.name, row.call);
    const position = Math.max(0, ...(row.channels || []).map((channel) => channel.t_s || 0));
    put(this.who, `${party.role || party.channel || "?"} · ${clock(position)}${isEnded ? " · ended" : ""}`);
    put(this.glyph, glyph);
    put(this.label, label);
    put(this.sure, sure);
    put(this.words, party.words || "");
    this.words.hidden = !party.words;
    put(this.speaks, (row.channels || []).filter((c) => c.is_speaking).map((c) => c.role || c.channel).join(" + "));
    this.mark(row, party, openAlerts, like);
    const said = `${row.call}, place ${place}, ${like ? like[2] + ", " : ""}${label} ${sure}${openAlerts.length ? ", alert " + openAlerts[0].rule : ""}`;
    if (said !== this.shown) root.setAttribute("aria-label", (this.shown = said));
    draw(this.canvas, points);
  }

  mark(row, party, openAlerts, like) {
    const marks = like ? [like] : [];
    for (const alert of openAlerts.slice(-1)) {
      marks.push(["alert", "▲", alert.rule + (openAlerts.length > 1 ? ` +${openAlerts.length - 1}` : "")]);
    }
    const spoof = spoofWords(party);
    if (spoof && spoof[0] !== "bona_fide") marks.push(spoof);
    const channels = row.channels || [];
    if (channels.some((channel) => channel.is_lost)) marks.push(["lost", "⨯", "no audio"]);
    const problems = channels.flatMap((channel) => channel.quality || []);
    if (problems.length) marks.push(["quality", "≋", problems[0]]);
    const key = JSON.stringify(marks);
    if (this.badges.dataset.key === key) return;
    this.badges.dataset.key = key;
    this.badges.replaceChildren(...marks.map(([kind, glyph, text]) => badge(kind, glyph, text)));
  }
}

export function badge(kind, glyph, text) {
  const element = make("span", "badge");
  element.dataset.kind = kind;
  const sign = make("i", "", glyph);
  sign.setAttribute("aria-hidden", "true");
  element.append(sign, make("span", "", text));
  element.title = text;
  return element;
}
