// The page of a rater: one turn at a time, question after question, each answered by a key.

import { manikins } from "/page/manikin.js";

const PLACE = "rtemo-rater", STEPS = ["primary", "secondary", "valence", "arousal", "dominance", "send"];
const WORDS = {
  valence: ["very unpleasant", "unpleasant", "rather unpleasant", "neither", "rather pleasant", "pleasant", "very pleasant"],
  arousal: ["very calm", "calm", "rather calm", "neither", "rather active", "active", "very active"],
  dominance: ["very weak", "weak", "rather weak", "neither", "rather strong", "strong", "very strong"],
};
const by = (id) => document.getElementById(id);
const audio = new Audio();
let form = null, task = null, step = 0, hasHeard = false, played = 0, startMs = 0, isSending = false;

const token = location.hash.slice(1) || sessionStorage.getItem(PLACE) || "";
if (token) sessionStorage.setItem(PLACE, token);
history.replaceState(null, "", location.pathname); // the link stays out of sight of who looks at the screen
addEventListener("hashchange", () => location.reload()); // it was opened once more

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({ error: `status ${answer.status}`, mend: "reload the page" }));
  throw Object.assign(new Error(`${told.error}; ${told.mend}`), { status: answer.status });
}

function lose(error) {
  by("lost").hidden = false;
  by("lost").textContent = error.status
    ? `${error.message}.`
    : "The server does not answer. Nothing is lost: start it again, then press Enter, or reload this page.";
}

function choice(kind, name, value, key, text, picture) {
  const label = document.createElement("label"), input = document.createElement("input"), word = document.createElement("span");
  Object.assign(input, { type: kind, name, value });
  word.textContent = text;
  if (picture) word.className = "hidden";
  const cap = document.createElement("kbd");
  cap.textContent = key;
  label.append(input, ...(picture ? [picture] : []), cap, word);
  if (picture) label.title = text;
  input.dataset.key = key.toLowerCase();
  input.addEventListener("change", () => changed(name));
  return label;
}

function build() {
  const taken = new Map();
  for (const name of form.primary) {
    const letter = [...name.toUpperCase()].find((sign) => !taken.has(sign));
    taken.set(letter, name);
    by("primary").querySelector(".choices").append(choice("radio", "primary", name, letter, name));
  }
  form.secondary.forEach((name, index) => {
    by("secondary").querySelector(".choices").append(choice("checkbox", "secondary", name, String.fromCharCode(65 + index), name));
  });
  for (const name of form.dimensions) {
    for (let value = 1; value <= 7; value++) {
      const picture = manikins[name]((value - 1) / 6);
      by(name).querySelector(".choices").append(choice("radio", name, String(value), String(value), WORDS[name][value - 1], picture));
    }
  }
  by("who").textContent = form.rater;
}

const inputs = (name) => [...by("form").querySelectorAll(`input[name=${name}]`)];
const chosen = (name) => inputs(name).filter((input) => input.checked).map((input) => input.value);
const isWhole = () => STEPS.slice(0, 5).every((name) => name === "secondary" || chosen(name).length);

function changed(name) {
  save();
  if (name !== "secondary" && STEPS[step] === name) go(step + 1);
  else go(STEPS.indexOf(name));
}

function go(to) {
  step = Math.max(0, Math.min(to, STEPS.length - 1));
  STEPS.slice(0, 5).forEach((name, index) => {
    by(name).toggleAttribute("data-current", index === step);
    by(name).toggleAttribute("data-answered", index !== step && (chosen(name).length > 0 || (name === "secondary" && index < step)));
  });
  by("send").disabled = !(isWhole() && hasHeard) || isSending;
  const field = STEPS[step] === "send" ? by("send") : by(STEPS[step]);
  field.scrollIntoView({ block: "nearest" });
  if (STEPS[step] === "send") by("send").focus();
  else document.activeElement?.blur();
  by("said").textContent = STEPS[step] === "send" ? "All answered. Enter keeps it." : field.querySelector("legend").textContent;
}

// What was answered of a turn that was not sent outlives a closed browser.
const draft = () => `rtemo-draft/${form.rater}/${task.clip}`;

function save() {
  const answers = Object.fromEntries(STEPS.slice(0, 5).map((name) => [name, chosen(name)]));
  localStorage.setItem(draft(), JSON.stringify(answers));
}

function fill(answers) {
  for (const name of STEPS.slice(0, 5)) {
    const values = [answers?.[name] ?? []].flat().map(String);
    for (const input of inputs(name)) input.checked = values.includes(input.value);
  }
}

async function show(next) {
  task = next;
  audio.pause();
  by("lost").hidden = true;
  by("task").hidden = task.state !== "rate";
  by("over").hidden = task.state === "rate";
  by("count").textContent = task.state === "rate" ? `${task.done} rated, ${task.left} to go` : `${task.done} rated`;
  if (task.state !== "rate") {
    by("over-head").textContent = task.state === "done" ? "That was all. Thank you!" : "Thank you for your time.";
    by("over-text").textContent = task.state === "done"
      ? "Every turn that needs you has been rated."
      : "Your answers to some turns differ much from those of trained listeners, so you get no more. Ask whoever gave you this link.";
    return;
  }
  hasHeard = Boolean(task.before);
  played = 0;
  startMs = 0;
  fill(task.before ?? JSON.parse(localStorage.getItem(draft()) ?? "null"));
  const first = STEPS.findIndex((name) => name !== "secondary" && (name === "send" || !chosen(name).length));
  go(first);
  heard();
  const sound = await (await ask(`/v1/audio/${task.clip}`)).blob();
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(sound);
  play();
}

function heard() {
  by("heard").textContent = hasHeard ? "Heard to the end." : "Listen to the end once before you answer.";
}

function play() {
  if (!audio.paused) return audio.pause();
  played += 1;
  startMs ||= performance.now();
  audio.currentTime = 0;
  return audio.play().catch(() => { played -= 1; by("heard").textContent = "Press Space to listen."; });
}

audio.addEventListener("ended", () => { hasHeard = true; heard(); go(step); });
audio.addEventListener("timeupdate", () => { by("at").value = audio.duration ? audio.currentTime / audio.duration : 0; });
for (const name of ["play", "pause", "ended"]) {
  audio.addEventListener(name, () => { by("play-word").textContent = audio.paused ? "Play" : "Stop"; });
}

async function send() {
  if (!isWhole() || !hasHeard || isSending) return;
  isSending = true;
  const rating = {
    clip: task.clip, primary: chosen("primary")[0], secondary: chosen("secondary"),
    valence: Number(chosen("valence")[0]), arousal: Number(chosen("arousal")[0]), dominance: Number(chosen("dominance")[0]),
    spent_s: startMs ? (performance.now() - startMs) / 1000 : 0, played,
  };
  try {
    const next = await (await ask("/v1/ratings", { method: "POST", body: JSON.stringify(rating) })).json();
    localStorage.removeItem(draft());
    isSending = false;
    await show(next);
  } catch (error) {
    lose(error);
  }
  isSending = false;
  if (task.state === "rate") go(step);
}

async function earlier() {
  try {
    await show(await (await ask(`/v1/earlier/${task.clip}`)).json());
  } catch (error) {
    if (error.status !== 404) lose(error);
    else by("said").textContent = "Nothing was rated before.";
  }
}

by("play").addEventListener("click", play);
by("back").addEventListener("click", () => go(step - 1));
by("earlier").addEventListener("click", earlier);
by("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });

addEventListener("keydown", (event) => {
  if (!task || task.state !== "rate" || event.ctrlKey || event.metaKey || event.altKey) return;
  const name = STEPS[step], key = event.key.toLowerCase(), at = document.activeElement;
  if (key === "enter" && at instanceof HTMLButtonElement && at.id !== "send") return; // it is pressed
  const input = name === "send" ? null : inputs(name).find((one) => one.dataset.key === key);
  if (key === " ") play();
  else if (key === "backspace") go(step - 1);
  else if (key === "arrowleft" && !(at instanceof HTMLInputElement)) earlier();
  else if (key === "enter" && name === "secondary") go(step + 1);
  else if (key === "enter" && name === "send") send();
  else if (key === "enter" && isWhole()) go(STEPS.length - 1);
  else if (input) {
    input.checked = input.type === "radio" ? true : !input.checked;
    changed(name);
  } else return;
  event.preventDefault();
});

async function begin() {
  try {
    form = await (await ask("/v1/form")).json();
    build();
    await show(await (await ask("/v1/next")).json());
  } catch (error) {
    lose(error.status === 401 ? Object.assign(new Error("This page needs the whole link that was given to you"), { status: 401 }) : error);
  }
}

begin();
