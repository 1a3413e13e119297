// The call in full: every party with its trend, words and reasons, and the alerts of the call.

import { partyMarks } from "./marks.js";
import { emotionWords } from "./party.js";
import { badge, clock, look, make, put } from "./row.js";
import { draw } from "./trend.js";

export class Detail {
  // act: close(), acknowledge(call), snooze(call), wrong(call)
  constructor(root, act) {
    this.root = root;
    this.call = "";
    const head = make("div", "detail-head");
    this.title = make("h2");
    const close = make("button", "close", "✕");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.onclick = () => act.close();
    head.append(this.title, close);
    this.alerts = make("div", "detail-alerts");
    this.parties = make("div", "parties");
    root.append(head, this.alerts, this.parties);
    this.act = act;
    this.byChannel = new Map();
  }

  show(row, alerts, trends) {
    if (row.call !== this.call) {
      this.call = row.call;
      this.byChannel.clear();
      this.parties.replaceChildren();
    }
    this.root.hidden = false;
    put(this.title, row.call);
    this.showAlerts(row, alerts);
    for (const channel of row.channels || []) {
      let party = this.byChannel.get(channel.channel);
      if (!party) {
        party = new Party();
        this.byChannel.set(channel.channel, party);
        this.parties.append(party.root);
      }
      party.fill(channel, trends.points(row.call, channel.channel));
    }
  }

  showAlerts(row, alerts) {
    const all = row.alerts || [];
    const key = all.map((alert) => alert.id + alerts.isOpen(alert) + alerts.isWrong(alert)).join();
    if (this.alerts.dataset.key === row.call + key) return;
    this.alerts.dataset.key = row.call + key;
    const lines = all.slice(-6).reverse().map((alert) => {
      const line = make("p", alerts.isOpen(alert) ? "open" : "done");
      const values = Object.entries(alert.values || {}).map(([name, value]) => `${name} ${Math.round(value * 100) / 100}`);
      line.append(
        badge("alert", alerts.isOpen(alert) ? "▲" : alerts.isWrong(alert) ? "✗" : "✓", alert.rule + (alerts.isWrong(alert) ? " (wrong)" : "")),
        make("small", "", `${clock(alert.t_s)} · ${values.join(", ")}`),
      );
      return line;
    });
    this.alerts.replaceChildren(...lines);
    if (alerts.open(row).length) this.alerts.append(buttons(row.call, this.act));
  }

  hide() {
    this.root.hidden = true;
    this.call = "";
  }
}

export function buttons(call, act) {
  const both = make("span", "buttons");
  const acknowledge = make("button", "", "Acknowledge");
  const snooze = make("button", "quiet", "Snooze 5 min");
  const wrong = make("button", "quiet", "Wrong");
  acknowledge.type = snooze.type = wrong.type = "button";
  acknowledge.setAttribute("aria-label", `Acknowledge the alerts of ${call}`);
  snooze.setAttribute("aria-label", `Snooze the alerts of ${call} for five minutes`);
  wrong.setAttribute("aria-label", `The alerts of ${call} are wrong`);
  acknowledge.onclick = () => act.acknowledge(call);
  snooze.onclick = () => act.snooze(call);
  wrong.onclick = () => act.wrong(call);
  both.append(acknowledge, snooze, wrong);
  return both;
}

class Party {
  constructor() {
    this.root = make("section", "party");
    this.name = make("h3");
    this.mood = make("p", "mood");
    this.canvas = make("canvas", "trend large");
    this.canvas.setAttribute("aria-hidden", "true");
    this.numbers = make("dl", "numbers");
    this.words = make("blockquote", "words");
    this.why = make("p", "why");
    this.badges = make("p", "badges");
    this.root.append(this.name, this.mood, this.canvas, this.numbers, this.words, this.why, this.badges);
    this.cells = new Map();
  }

  fill(channel, points) {
    const [kind, glyph, label, sure] = emotionWords(channel);
    look(this.root, "mood", kind);
    put(this.name, [channel.role, channel.channel].filter(Boolean).join(" · ") + (channel.is_speaking ? " · speaks" : ""));
    put(this.mood, `${glyph} ${label} ${sure}`);
    this.canvas.hidden = !points.length;
    draw(this.canvas, points, 600);
    this.number("heard", clock(channel.t_s));
    this.number("speech", clock(channel.speech_s));
    this.number("level", channel.level_dbfs === undefined ? null : `${channel.level_dbfs} dBFS`);
    this.number("arousal", channel.emotion ? signed(channel.emotion.arousal) : null);
    this.number("valence", channel.emotion ? signed(channel.emotion.valence) : null);
    const { worst } = channel;
    this.number("at worst", worst ? `${emotionWords(channel, worst)[2]}, ${clock(worst.t_s)}` : null);
    for (const [name, rank] of Object.entries(channel.ranks || {})) {
      const spread = rank.spread ? ` ± ${rank.spread.toFixed(2)}` : "";
      this.number(`rank of ${name}`, `${signed(rank.score)}${spread}`);
    }
    for (const [query, value] of Object.entries(channel.queries || {})) this.number(`like “${query}”`, signed(value));
    put(this.words, channel.words || "");
    this.words.hidden = !channel.words;
    put(this.why, channel.why || "");
    this.why.hidden = !channel.why;
    const marks = partyMarks(channel);
    const key = JSON.stringify(marks);
    if (this.badges.dataset.key !== key) {
      this.badges.dataset.key = key;
      this.badges.replaceChildren(...marks.map((mark) => badge(...mark)));
    }
  }

  number(name, value) {
    let cell = this.cells.get(name);
    if (!cell) {
      if (value === null) return;
      const pair = make("div");
      cell = make("dd");
      pair.append(make("dt", "", name), cell);
      this.numbers.append(pair);
      this.cells.set(name, cell);
    }
    put(cell, value ?? "–");
  }
}

function signed(value) {
  return (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(2);
}
