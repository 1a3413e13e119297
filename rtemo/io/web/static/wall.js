// The wall: what the server tells of every call, in the order in which a person is needed; only visible rows are drawn.

import { Alerts } from "./alerts.js";
import { buttons, Detail } from "./detail.js";
import { Link } from "./link.js";
import { likeness, ordered, score } from "./order.js";
import { lead, roleOf, spoofWords } from "./party.js";
import { badge, clock, make, put, Row } from "./row.js";
import { readColours, Trends } from "./trend.js";

const REORDER_MS = 1000;
const HOLD_MS = 2500; // the order stands while somebody points at it, and for so long after
const SAMPLE_RATE_HZ = 16000; // of the engine, whatever calls come with
const SHOWN_ALERTS = 4;
const NOBODY = { channel: "", analysis: "person" };
const $ = (id) => document.getElementById(id);

const rows = new Map();
const trends = new Trends();
const alerts = new Alerts((call, id, mark) => link.post(`/v1/alerts/${encodeURIComponent(id)}`, { call, mark }));
let order = [];
let shown = [];
let engine = {};
let selected = "";
let query = ""; // what the calls are ordered by; by need of a person when empty
let heldUntilMs = 0;
let orderedMs = 0;
let lostAt = null;
let isDue = false;
const pool = [];
const saidAlerts = new Set();
let alarmed = new Set(); // the voices about which an alarm stands

const list = $("calls");
const act = {
  close: () => select(""),
  acknowledge: (call) => settle(call, "acknowledge"),
  snooze: (call) => settle(call, "snooze"),
  wrong: (call) => settle(call, "wrong"),
};
const detail = new Detail($("detail"), act);

const link = new Link({
  snapshot(message) {
    rows.clear();
    for (const row of message.calls) rows.set(row.call, row);
    trends.snapshot(message.calls);
    engine = message.engine;
    reorder(true);
    due();
  },
  update(message) {
    engine = message.engine;
    for (const row of message.calls) {
      rows.set(row.call, row);
      trends.update(row);
    }
    for (const call of message.gone) {
      rows.delete(call);
      trends.forget(call);
      if (call === selected) select("");
    }
    reorder(false);
    due();
  },
  state(state) {
    lostAt = state === "lost" ? lostAt || new Date() : null;
    showLink();
  },
  refused() {
    $("wrong").hidden = !link.token;
    if (!$("ask").open) $("ask").showModal();
  },
});

function settle(call, how) {
  const row = rows.get(call);
  if (row) alerts[how](call, alerts.open(row));
  due();
}

function reorder(isAtOnce) {
  const now = performance.now();
  const isHeld = now < heldUntilMs && !isAtOnce;
  $("held").hidden = !isHeld;
  const hasNew = rows.size !== order.length || order.some((name) => !rows.has(name));
  if ((isHeld || now - orderedMs < REORDER_MS) && !isAtOnce && !hasNew) return;
  orderedMs = now;
  const hasBoard = engine.ranked !== undefined && engine.ranked !== null;
  const scores = new Map();
  for (const [name, row] of rows) scores.set(name, score(row, hasBoard, alerts.open(row).length, query));
  order = isHeld ? order.filter((name) => rows.has(name)).concat([...rows.keys()].filter((name) => !order.includes(name)))
    : ordered(order, scores);
}

function due() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    drawAll();
  });
}

function drawAll() {
  const wanted = $("find").value.trim().toLowerCase();
  shown = wanted ? order.filter((name) => matches(rows.get(name), wanted)) : order;
  $("empty").hidden = shown.length > 0;
  if (rows.size && !shown.length) put($("empty"), "No call by that name or role.");
  drawRows();
  drawAlerts();
  sayAlarms();
  showFacts();
  showQueries();
  const row = rows.get(selected);
  if (row) detail.show(row, alerts, trends);
}

function matches(row, wanted) {
  return row.call.toLowerCase().includes(wanted) || (row.channels || []).some((channel) => (channel.role || "").toLowerCase().includes(wanted));
}

function rowHeight() {
  return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 76;
}

let height = rowHeight();

function drawRows() {
  $("rows").style.height = `${shown.length * height}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / height) - 1);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + 1);
  while (pool.length < last - first) {
    const row = new Row(pool.length);
    row.root.onclick = () => select(row.root.dataset.call === selected ? "" : row.root.dataset.call);
    pool.push(row);
    $("rows").append(row.root);
  }
  list.removeAttribute("aria-activedescendant");
  pool.forEach((element, index) => {
    const at = first + index;
    if (at >= last) {
      element.root.hidden = true;
      return;
    }
    const row = rows.get(shown[at]);
    const isSelected = row.call === selected;
    if (isSelected) list.setAttribute("aria-activedescendant", element.root.id);
    const party = lead(row) || NOBODY;
    const points = trends.points(row.call, party.channel);
    element.fill(row, at + 1, shown.length, isSelected, alerts.open(row), party, points, at * height, query ? like(row) : null);
  });
}

function like(row) {
  const value = likeness(row, query);
  if (value === null) return ["unknown", "≈", "not scored yet"];
  return ["like", "≈", `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)} like it`];
}

// What calls can be ordered by: the queries by which somebody has a score; the one chosen stays.
function showQueries() {
  const known = new Set(query ? [query] : []);
  for (const row of rows.values()) {
    for (const channel of row.channels || []) Object.keys(channel.queries || {}).forEach((name) => known.add(name));
  }
  $("by-label").hidden = !known.size;
  const key = JSON.stringify([...known].sort());
  if ($("by").dataset.key === key) return;
  $("by").dataset.key = key;
  const options = [...known].sort().map((name) => {
    const option = make("option", "", name);
    option.value = name;
    return option;
  });
  $("by").replaceChildren($("by").options[0], ...options);
  $("by").value = query;
}

function drawAlerts() {
  const open = [];
  for (const row of rows.values()) {
    const mine = alerts.open(row);
    if (mine.length) open.push([mine[mine.length - 1], row, mine.length]);
  }
  open.sort((a, b) => b[0].t_pub_ms - a[0].t_pub_ms);
  $("alerts").hidden = !open.length;
  for (const [alert, row] of open) {
    if (saidAlerts.has(alert.id)) continue;
    saidAlerts.add(alert.id);
    put($("said"), `Alert ${alert.rule} on call ${row.call}`);
  }
  const key = open.map(([alert, , count]) => alert.id + count).join();
  if ($("alert-list").dataset.key === key) return;
  $("alert-list").dataset.key = key;
  const lines = open.slice(0, SHOWN_ALERTS).map(([alert, row, count]) => {
    const line = make("li");
    const name = make("button", "go", row.call);
    name.type = "button";
    name.onclick = () => select(row.call, true);
    line.append(badge("alert", "▲", alert.rule + (count > 1 ? ` ×${count}` : "")), name, make("small", "", clock(alert.t_s)), buttons(row.call, act));
    return line;
  });
  if (open.length > SHOWN_ALERTS) lines.push(make("li", "more", `and ${open.length - SHOWN_ALERTS} more, first in the list`));
  $("alert-list").replaceChildren(...lines);
}

// A row that is far down, or not looked at, says nothing: an alarm about a voice is said when it begins.
function sayAlarms() {
  const now = new Set();
  for (const row of rows.values()) {
    for (const party of row.channels || []) {
      if (!party.spoof?.is_alarmed) continue;
      const key = JSON.stringify([row.call, party.channel]);
      now.add(key);
      if (!alarmed.has(key)) put($("said"), `${spoofWords(party)[2]}, ${roleOf(party)} on call ${row.call}`);
    }
  }
  alarmed = now;
}

// Counters of the engine in words a supervisor has a use for; concealed gaps are short and nobody can do anything about them.
function troubles(counters) {
  const seconds = (samples) => `${(samples / SAMPLE_RATE_HZ).toFixed(1)} s`;
  const words = {
    source_lost_samples: (count) => `${seconds(count)} of audio lost on the way here`,
    overrun_samples: (count) => `${seconds(count)} of audio dropped, too much at once`,
    skipped_hops: (count) => `${count} steps left out, the machine is too slow`,
    xruns: (count) => `${count} steps late`,
    dropped_events: (count) => `${count} events lost`,
  };
  return Object.keys(words).filter((name) => counters[name]).map((name) => words[name](counters[name]));
}

function showFacts() {
  const facts = [["calls", [...rows.values()].filter((row) => row.is_open !== false).length]];
  if (engine.capacity) facts.push(["streams", `${engine.streams} / ${engine.capacity}`], ["load", `${Math.round(engine.load * 100)} %`]);
  if (engine.unsure) facts.push(["too little speech", engine.unsure]);
  if ((engine.given_up || []).length) facts.push(["overload", `without ${engine.given_up.join(", ")}`]);
  const trouble = troubles(engine.trouble || {});
  if (trouble.length) facts.push(["trouble since the start", trouble.join(", ")]);
  const key = JSON.stringify(facts);
  if ($("facts").dataset.key === key) return;
  $("facts").dataset.key = key;
  $("facts").replaceChildren(
    ...facts.map(([name, value]) => {
      const pair = make("div");
      pair.append(make("dt", "", name), make("dd", "", String(value)));
      return pair;
    }),
  );
  put($("purpose"), engine.purpose ? ` Used for ${engine.purpose.replace(/_/g, " ")}.` : "");
}

function showLink() {
  const isDeaf = link.state === "live" && engine.is_fed === false;
  const state = isDeaf ? "deaf" : link.state;
  const words = { live: "live", lost: "connection lost", wait: "connecting", deaf: "engine silent" }[state];
  $("link").dataset.state = state;
  put($("link").querySelector("span"), words);
  const at = lostAt ? lostAt.toLocaleTimeString() : "";
  $("lost").hidden = state === "live" || state === "wait";
  if (state === "lost") put($("lost"), `Connection lost at ${at}. What stands below is from then; it is tried again by itself.`);
  if (state === "deaf") put($("lost"), "The engine gives no sign of life. What stands below may be old.");
  document.body.classList.toggle("stale", state === "lost" || state === "deaf");
}

function select(call, isFar) {
  selected = call;
  if (!call) detail.hide();
  document.body.classList.toggle("opened", Boolean(call));
  const at = shown.indexOf(call);
  if (at >= 0) {
    const top = at * height;
    if (isFar || top < list.scrollTop || top + height > list.scrollTop + list.clientHeight) list.scrollTop = Math.max(0, top - height);
  }
  due();
}

list.addEventListener("keydown", (event) => {
  const at = shown.indexOf(selected);
  const page = Math.max(1, Math.floor(list.clientHeight / height) - 1);
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length }[event.key];
  if (step !== undefined && shown.length) {
    event.preventDefault();
    hold();
    select(shown[Math.max(0, Math.min(shown.length - 1, at < 0 ? 0 : at + step))]);
  } else if (event.key === "Enter" && at < 0 && shown.length) select(shown[0]);
  else if (event.key.toLowerCase() === "a" && selected) act.acknowledge(selected);
  else if (event.key.toLowerCase() === "s" && selected) act.snooze(selected);
  else if (event.key.toLowerCase() === "w" && selected) act.wrong(selected);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("ask").open) select("");
  if (event.key === "/" && document.activeElement !== $("find") && !$("ask").open) {
    event.preventDefault();
    $("find").focus();
  }
});
function hold() {
  heldUntilMs = performance.now() + HOLD_MS;
}
list.addEventListener("pointermove", hold);
list.addEventListener("scroll", () => {
  hold();
  drawRows();
}, { passive: true });
$("find").addEventListener("input", () => {
  list.scrollTop = 0;
  due();
});
$("by").addEventListener("change", () => {
  query = $("by").value;
  put($("board-title"), query ? "Most like the words" : "Needs a person first");
  order = [];
  list.scrollTop = 0;
  reorder(true);
  due();
});
$("ask").addEventListener("close", () => {
  if ($("token").value) link.setToken($("token").value);
  else $("ask").showModal();
  $("token").value = "";
});

const THEMES = ["auto", "dark", "light"];
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("rtemo-theme", theme);
  put($("theme"), `Theme: ${theme}`);
  readColours();
  due();
}
$("theme").onclick = () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme));
addEventListener("resize", () => {
  height = rowHeight();
  due();
});

const asked = new URLSearchParams(location.search).get("theme");
setTheme(THEMES.includes(asked) ? asked : localStorage.getItem("rtemo-theme") || "auto");
setInterval(showLink, 300);
link.open();
