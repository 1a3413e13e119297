// Manikins for self-assessment, after the idea of Bradley and Lang (1994): a figure that frowns or smiles, that sleeps or bursts,
// that is small or large. Drawn anew, of seven steps each.

const SVG = "http://www.w3.org/2000/svg";

function part(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

const mix = (from, to, share) => from + (to - from) * share;

function figure(parts) {
  const svg = part("svg", { viewBox: "0 0 80 90", "aria-hidden": "true", focusable: "false" });
  svg.append(...parts);
  return svg;
}

/** A face whose mouth and brows go from a frown to a smile. */
function valence(share) {
  const bend = mix(-13, 13, share), brow = mix(5, -2, share);
  return figure([
    part("circle", { cx: 40, cy: 45, r: 34 }),
    part("circle", { cx: 28, cy: 38, r: 3, class: "full" }),
    part("circle", { cx: 52, cy: 38, r: 3, class: "full" }),
    part("path", { d: `M22 ${28 - brow} L34 ${28 + brow} M58 ${28 - brow} L46 ${28 + brow}` }),
    part("path", { d: `M24 ${60 - bend / 2} Q40 ${60 + bend} 56 ${60 - bend / 2}` }),
  ]);
}

/** A figure whose eyes open and in which a star grows. */
function arousal(share) {
  const eye = mix(0.4, 4.5, share), size = mix(2, 19, share), spikes = [];
  for (let k = 0; k < 16; k++) {
    const angle = (Math.PI * k) / 8, r = k % 2 ? size * 0.45 : size;
    spikes.push(`${k ? "L" : "M"}${(40 + r * Math.cos(angle)).toFixed(1)} ${(64 + r * Math.sin(angle)).toFixed(1)}`);
  }
  return figure([
    part("circle", { cx: 40, cy: 20, r: 16 }),
    part("ellipse", { cx: 34, cy: 18, rx: 3, ry: eye, class: "full" }),
    part("ellipse", { cx: 46, cy: 18, rx: 3, ry: eye, class: "full" }),
    part("rect", { x: 16, y: 40, width: 48, height: 48, rx: 8 }),
    part("path", { d: `${spikes.join(" ")} Z`, class: share > 0.4 ? "full" : "" }),
  ]);
}

/** A figure that grows until it fills its frame. */
function dominance(share) {
  const scale = mix(0.26, 1, share), y = 88 - 82 * scale;
  const at = (value) => (y + value * scale).toFixed(1), across = (value) => (40 + value * scale).toFixed(1);
  return figure([
    part("rect", { x: 1, y: 1, width: 78, height: 88, rx: 4 }),
    part("circle", { cx: 40, cy: at(15), r: (14 * scale).toFixed(1) }),
    part("path", {
      d: `M${across(-12)} ${at(32)} L${across(12)} ${at(32)} L${across(32)} ${at(58)} M${across(-12)} ${at(32)} L${across(-32)} ${at(58)} ` +
        `M${across(-11)} ${at(34)} L${across(-11)} ${at(80)} M${across(11)} ${at(34)} L${across(11)} ${at(80)} M${across(0)} ${at(58)} L${across(0)} ${at(80)}`,
    }),
  ]);
}

export const manikins = { valence, arousal, dominance };
