// The order of the calls: who needs a person first, changed only when the difference is clear.

import { heatOf } from "./party.js";

const HYSTERESIS = 0.25; // as of the ranker's board: by so much must a call exceed another to take its place
const ALERTED = 20;
const ENDED = -40;
const UNPLACED = -6; // below all calls that the board places

export function heat(row) {
  let most = null;
  for (const channel of row.channels || []) {
    if (!channel.emotion || channel.is_open === false) continue;
    const value = heatOf(channel.emotion);
    if (most === null || value > most) most = value;
  }
  return most;
}

// How much the most alike of its parties is like a query, in deviations; null while that is not known.
export function likeness(row, query) {
  const found = (row.channels || []).filter((channel) => channel.is_open !== false).map((channel) => channel.queries?.[query]);
  const known = found.filter((value) => value !== undefined);
  return known.length ? Math.max(...known) : null;
}

// By a query, when one is given: what else is known of the call, alerts too, does not count then.
export function score(row, hasBoard, openAlerts, query) {
  if (query) return row.is_open === false ? ENDED : likeness(row, query) ?? UNPLACED;
  return urgency(row, hasBoard, openAlerts);
}

function urgency(row, hasBoard, openAlerts) {
  if (row.is_open === false) return ENDED;
  const warmth = heat(row);
  let value = row.urgency ?? (hasBoard ? UNPLACED : 0) + (warmth === null ? -3 : 2 * warmth);
  if (openAlerts) value += ALERTED;
  return value;
}

// Gives the new order: names that stay keep their places unless the one below exceeds them clearly; new ones are put in.
export function ordered(names, scores) {
  const kept = names.filter((name) => scores.has(name));
  for (let i = 1; i < kept.length; i++) {
    const name = kept[i];
    const mine = scores.get(name);
    let at = i;
    while (at > 0 && mine > scores.get(kept[at - 1]) + HYSTERESIS) {
      kept[at] = kept[at - 1];
      at -= 1;
    }
    kept[at] = name;
  }
  const known = new Set(kept);
  const fresh = [...scores.keys()].filter((name) => !known.has(name));
  fresh.sort((a, b) => scores.get(b) - scores.get(a) || (a < b ? -1 : 1));
  if (!kept.length) return fresh;
  for (const name of fresh) {
    let low = 0;
    let high = kept.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (scores.get(kept[middle]) >= scores.get(name)) low = middle + 1;
      else high = middle;
    }
    kept.splice(low, 0, name);
  }
  return kept;
}
