// A row of the wall: elements made once, filled again and again; nothing is set that has not changed.

import { callMarks, isGrave } from "./marks.js";
import { emotionWords, judged, roleOf } from "./party.js";
import { draw } from "./trend.js";

const SHOWN_MARKS = 3; // a line each where it is narrow; of more the last line tells how many

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

  // party: the one that the row speaks of, and its points; like: how much the call is like the query by which calls are
  // ordered, as a badge, null when by none
  fill(row, place, count, isSelected, openAlerts, party, points, y, like) {
    const { root } = this;
    root.hidden = false;
    const top = `translateY(${y}px)`;
    if (root.style.transform !== top) root.style.transform = top;
    root.dataset.call = row.call;
    const [look_, glyph, label, sure] = rowWords(party);
    const isEnded = row.is_open === false;
    const marks = callMarks(row, party, openAlerts);
    look(root, "mood", look_);
    look(root, "state", isEnded ? "ended" : openAlerts.length ? "alert" : "open");
    look(root, "marks", marks.filter(isGrave).length > 1 ? "many" : "few");
    root.setAttribute("aria-selected", String(isSelected));
    root.setAttribute("aria-posinset", String(place));
    root.setAttribute("aria-setsize", String(count));
    put(this.place, String(place));
    put(this.name, row.call);
    const position = Math.max(0, ...(row.channels || []).map((channel) => channel.t_s || 0));
    put(this.who, `${roleOf(party)} · ${clock(position)}${isEnded ? " · ended" : ""}`);
    put(this.glyph, glyph);
    put(this.label, label);
    put(this.sure, sure);
    put(this.words, party.words || "");
    this.words.hidden = !party.words;
    put(this.speaks, (row.channels || []).filter((c) => c.is_speaking).map(roleOf).join(" + "));
    this.mark(like, marks);
    const heard = [`place ${place}`, like && like[2], `${roleOf(party)} ${label} ${sure}`, isEnded && "ended", ...marks.map(spoken)];
    const said = [row.call, ...heard.filter(Boolean)].join(", ");
    if (said !== this.shown) root.setAttribute("aria-label", (this.shown = said));
    draw(this.canvas, points);
  }

  mark(like, marks) {
    const key = JSON.stringify([like, marks]);
    if (this.badges.dataset.key === key) return;
    this.badges.dataset.key = key;
    const all = like ? [like, ...marks] : marks;
    const shown = all.length > SHOWN_MARKS ? all.slice(0, SHOWN_MARKS - 1) : all;
    const rest = all.slice(shown.length).map(([, , text]) => text);
    const more = rest.length ? [badge("more", "", `+${rest.length}`, rest.join("\n"))] : [];
    this.badges.replaceChildren(...shown.map((mark) => badge(...mark)), ...more);
  }
}

// A party that has gone is shown as it sounded at its worst, and says so.
function rowWords(party) {
  const words = emotionWords(party, judged(party));
  if (party.worst && words[3]) words[3] = `at worst, ${clock(party.worst.t_s)}`;
  return words;
}

function spoken([kind, , text]) {
  return kind === "alert" ? `alert ${text}` : text;
}

export function badge(kind, glyph, text, title = text) {
  const element = make("span", "badge");
  element.dataset.kind = kind;
  if (glyph) {
    const sign = make("i", "", glyph);
    sign.setAttribute("aria-hidden", "true");
    element.append(sign);
  }
  element.append(make("span", "", text));
  element.title = title;
  return element;
}
