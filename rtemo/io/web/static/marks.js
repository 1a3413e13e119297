// Marks: what a person should look at, of whichever party of a call, the gravest first; each is [kind, glyph, text].

import { roleOf, spoofWords } from "./party.js";

const GRAVEST_FIRST = ["alert", "alarm", "lost", "spoof", "quality", "unknown", "timing"];
const GRAVE = 5; // so many of them: the rest says that nothing is known, or that nothing may be

export function partyMarks(party) {
  const marks = [];
  const spoof = spoofWords(party);
  if (spoof) marks.push(spoof);
  if (party.is_lost) marks.push(["lost", "⨯", "no audio"]);
  for (const problem of party.quality || []) marks.push(["quality", "≋", problem]);
  return marks;
}

// about: the party that the row speaks of; of another one it is no news that nothing can be told of its voice.
export function callMarks(row, about, openAlerts) {
  const parties = row.channels || [];
  const found = new Map(); // the mark, and the roles of those who have it
  const add = (mark, party) => {
    const key = mark.join("\n");
    if (!found.has(key)) found.set(key, [mark, new Set()]);
    if (party) found.get(key)[1].add(roleOf(party));
  };
  const alert = openAlerts[openAlerts.length - 1];
  if (alert) {
    const more = openAlerts.length > 1 ? ` +${openAlerts.length - 1}` : "";
    add(["alert", "▲", alert.rule + more], parties.find((party) => party.channel === alert.channel));
  }
  for (const party of parties) {
    for (const mark of partyMarks(party)) {
      if (mark[0] !== "bona_fide" && (mark[0] !== "unknown" || party === about)) add(mark, party);
    }
    if (party.analysis === "timing" && party !== about) add(["timing", "◷", "timing only"], party);
  }
  const marks = [...found.values()].map(([[kind, glyph, text], roles]) => {
    const whose = parties.length > 1 ? [...roles].join(" + ") : ""; // of a single one the row names it already
    return [kind, glyph, whose ? `${whose} · ${text}` : text];
  });
  return marks.sort((a, b) => GRAVEST_FIRST.indexOf(a[0]) - GRAVEST_FIRST.indexOf(b[0]));
}

export function isGrave([kind]) {
  return GRAVEST_FIRST.indexOf(kind) < GRAVE;
}
