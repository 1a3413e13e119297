// Alerts: which stand, which somebody at this screen has acknowledged, and which come back later.

const KEY = "rtemo-alerts";
const KEPT_MS = 12 * 3600 * 1000;
export const SNOOZE_MS = 5 * 60 * 1000;

export class Alerts {
  constructor() {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(KEY) || "{}");
    } catch {
      // What cannot be read is begun anew.
    }
    const now = Date.now();
    this.done = new Map(Object.entries(kept).filter(([, note]) => now - note.at < KEPT_MS));
  }

  isOpen(alert) {
    const note = this.done.get(alert.id);
    return !note || (note.until !== undefined && Date.now() >= note.until);
  }

  open(row) {
    return (row.alerts || []).filter((alert) => this.isOpen(alert));
  }

  acknowledge(alerts) {
    for (const alert of alerts) this.done.set(alert.id, { at: Date.now() });
    this.keep();
  }

  snooze(alerts) {
    for (const alert of alerts) this.done.set(alert.id, { at: Date.now(), until: Date.now() + SNOOZE_MS });
    this.keep();
  }

  keep() {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(this.done)));
  }
}
