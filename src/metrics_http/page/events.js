// The last events, and the keys that are refused most.

const LEVELS = {warning: "bad", info: "none", debug: "none"};

// What happened, in words: [before, what stands out, after].
function eventWords(event) {
  const failure = event.code ? ` after ${event.code}` : "";
  const one = event.count === 1;  // of several, what differs is not said
  const who = event.name ? `${event.policy} ${event.name}` : event.policy ?? "";
  switch (event.kind) {
    case "refused":
      return ["", who || "No time left", who ? ` refused: ${words(event.reason)}` : ": a call was refused"];
    case "waited":
      return ["", who, ` let a call wait${one ? ` ${durationText(event.waited)}` : ""}`];
    case "attempt":
      return ["Attempt ", one ? String(event.attempt) : "", ` ended${event.code ? ` with ${event.code}` : ""}${one ? ` in ${durationText(event.took ?? 0)}` : ""}`];
    case "cut_off":
      return ["Attempt ", one ? String(event.attempt) : "", " was cut off at its deadline"];
    case "retrying":
      return ["", who, ` tries again${one ? ` in ${durationText(event.waited ?? 0)}` : ""}${failure}`];
    case "gave_up":
      return ["Given up: ", words(event.reason), `${failure}${one ? `, ${plural(event.attempt ?? 0, "attempt")}` : ""}`];
    case "hedged":
      return ["", who, " sent another copy"];
    case "hedge_won":
      return ["", who, ": a copy won"];
    case "fell_back":
      return ["", who, ` put a substitute in place of ${event.code ?? "a failure"}`];
    case "dry_run":
      return ["", who, ` in a dry run: ${words(event.reason)}`];
    case "ended":
      return ["A call ended: ", words(event.reason), `${event.code ? `, ${event.code}` : ""}${one && event.took ? `, ${durationText(event.took)}` : ""}`];
    case "breaker_changed":
      return ["Breaker ", event.name || event.policy, ` ${words(event.state)}: ${words(event.reason)}`];
    default:
      return ["", who, ` ${words(event.kind)}`];
  }
}

class EventRow {
  constructor() {
    this.time = element("time");
    this.pill = element("span", {class: "pill"});
    this.stack = element("span", {class: "muted"});
    this.words = [element("span"), element("b"), element("span"), element("span", {class: "muted"})];
    this.times = element("span", {class: "times"});
    this.node = element(
      "li", {class: "event"}, this.time, element("span", {}, this.pill),
      element("span", {class: "text"}, this.stack, ...this.words), this.times);
  }

  update(event) {
    const breaker = event.kind === "breaker_changed" ? STATES[event.state] : undefined;
    setText(this.time, clockText(event.time));
    setAttribute(this.time, "datetime", new Date(event.time).toISOString());
    setAttribute(this.pill, "data-level", breaker?.level ?? LEVELS[event.severity] ?? "none");
    setText(this.pill, breaker?.text ?? words(event.kind));
    setText(this.stack, event.stack ? `${event.stack}: ` : "");
    eventWords(event).forEach((text, i) => setText(this.words[i], text));
    const more = [event.key ? `key ${event.key}` : "", event.message ?? ""].filter((text) => text);
    setText(this.words[3], more.length > 0 ? ` (${more.join("; ")})` : "");
    setText(this.times, event.count > 1 ? `× ${countText(event.count)}` : "");
  }
}

const FILTERS = {
  all: () => true,
  warning: (event) => event.severity === "warning",
  breaker: (event) => event.kind === "breaker_changed",
};

function updateEvents(events, filter) {
  const section = document.getElementById("events");
  section.hidden = !events;
  if (!events) return;
  const shown = events.kept.filter(FILTERS[filter] ?? FILTERS.all);
  keepChildren(document.getElementById("event-list"), shown, (event) => event.number, () => new EventRow());
  document.getElementById("event-none").hidden = shown.length > 0;
}

class KeyRow {
  constructor() {
    this.name = element("span", {class: "name"});
    this.where = element("span", {class: "muted"});
    this.count = element("span");
    this.fill = element("span");
    this.node = element(
      "li", {}, this.name, this.where,
      element("div", {}, this.count, element("div", {class: "meter", "data-level": "bad", "aria-hidden": "true"}, this.fill)));
  }

  update({key, most}) {
    setText(this.name, key.key);
    setText(this.where, [key.stack, key.policy, key.name].filter((text) => text).join(" · "));
    const about = key.too_many > 0 ? "about " : "";
    setText(this.count, `${about}${countText(key.refused)} refused, last at ${clockText(key.last)}`);
    setWidth(this.fill, key.refused / most);
  }
}

function updateKeys(events) {
  const section = document.getElementById("keys");
  const keys = events?.worst_keys ?? [];
  section.hidden = keys.length === 0;
  keepChildren(
    document.getElementById("key-list"), keys.map((key) => ({key, most: keys[0].refused})),
    ({key}) => JSON.stringify([key.stack, key.policy, key.name, key.key]), () => new KeyRow());
}

