// Alerts: which stand, which somebody has acknowledged or called wrong, here or at another wall, and which come back later.

const KEY = "rtemo-alerts";
const KEPT_MS = 12 * 3600 * 1000;
export const SNOOZE_MS = 5 * 60 * 1000;

export class Alerts {
  // tell(call, id, mark): says so to the server, which tells all walls; what it does not take is kept here alone.
  constructor(tell) {
    this.tell = tell;
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
    if (alert.mark === "acknowledged" || alert.mark === "wrong") return false;
    if (alert.mark === "snoozed" && Date.now() < alert.snoozed_until_ms) return false;
    const note = this.done.get(alert.id);
    return !note || (note.until !== undefined && Date.now() >= note.until);
  }

  open(row) {
    return (row.alerts || []).filter((alert) => this.isOpen(alert));
  }

  isWrong(alert) {
    return alert.mark === "wrong" || Boolean(this.done.get(alert.id)?.wrong);
  }

  acknowledge(call, alerts) {
    this.note(call, alerts, "acknowledged", {});
  }

  snooze(call, alerts) {
    this.note(call, alerts, "snoozed", { until: Date.now() + SNOOZE_MS });
  }

  wrong(call, alerts) {
    this.note(call, alerts, "wrong", { wrong: true });
  }

  note(call, alerts, mark, more) {
    for (const alert of alerts) {
      this.done.set(alert.id, { at: Date.now(), ...more });
      this.tell(call, alert.id, mark);
    }
    this.keep();
  }

  keep() {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(this.done)));
  }
}
