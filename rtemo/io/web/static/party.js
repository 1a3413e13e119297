// A party of a call in words: who it is, how it sounds, whether its voice may be synthetic; and of several the one that a call is about.

const GLYPHS = {
  neutral: "–", calm: "◡", happy: "▲", sad: "▼", angry: "✦", fear: "◇", disgust: "✕", surprise: "●", unsure: "?",
};
const SPOOF = {
  spoof: ["⚠", "may be synthetic"],
  unknown: ["○", "voice: cannot tell"],
  bona_fide: ["✓", "voice: no sign"],
};

export function roleOf(party) {
  return party.role || party.channel || "?";
}

// How aroused and displeased it sounds; half as much where the model is unsure. The server picks the worst moment by the same.
export function heatOf(emotion) {
  return (emotion.arousal - emotion.valence) / (emotion.label === "unsure" ? 4 : 2);
}

// What a party is judged by: how it sounds now, and after its end how it sounded at its worst.
export function judged(party) {
  return party.worst || party.emotion;
}

// The party that the call is about: who is analysed and still there, and of several the one that sounds worst; when all
// have gone, the one that sounded worst over the whole call.
export function lead(row) {
  const all = row.channels || [];
  const present = all.filter((party) => party.is_open !== false);
  let best = null;
  let most = -9;
  for (const party of present.length ? present : all) {
    const emotion = judged(party);
    const value = party.analysis === "timing" ? -5 : emotion ? heatOf(emotion) : -3;
    if (best === null || value > most) {
      best = party;
      most = value;
    }
  }
  return best;
}

export function emotionWords(party, emotion = party.emotion) {
  if (party.analysis === "timing") return ["timing", "◷", "timing only", ""];
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
