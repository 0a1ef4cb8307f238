// What an object of a policy tells: the state of a breaker, how full a bulkhead or a budget is.

const STATES = {
  closed: {level: "good", text: "closed"},
  half_open: {level: "warn", text: "half-open"},
  open: {level: "bad", text: "open"},
};

// One line, a meter where there is something to fill, and a line of details.
class ObjectBox {
  constructor() {
    this.pill = element("span", {class: "pill", hidden: ""});
    this.main = element("span");
    this.fill = element("span");
    this.meter = element("div", {class: "meter", "aria-hidden": "true", hidden: ""}, this.fill);
    this.strip = new StateStrip();
    this.strip.node.setAttribute("hidden", "");
    this.more = element("div", {class: "line-2"});
    this.node = element(
      "div", {class: "object"}, element("div", {class: "line-1"}, this.pill, this.main),
      this.meter, this.strip.node, this.more);
  }

  // {pill: {level, text}, text, fill: {share, level}, strip: {times, states}, more}
  show({pill, text = "", fill, strip, more = ""}) {
    this.pill.hidden = !pill;
    if (pill) {
      setAttribute(this.pill, "data-level", pill.level);
      setText(this.pill, pill.text);
    }
    setText(this.main, text);
    this.meter.hidden = !fill;
    if (fill) {
      setWidth(this.fill, fill.share);
      setAttribute(this.meter, "data-level", fill.level ?? "none");
    }
    this.strip.node.toggleAttribute("hidden", !strip);
    if (strip) this.strip.update(strip.times, strip.states);
    setText(this.more, more);
  }
}

const parts = (...texts) => texts.filter((text) => text).join(" · ");

function fillOf(used, limit) {
  const share = limit > 0 ? used / limit : 0;
  return {share, level: share >= 1 ? "bad" : share >= 0.8 ? "warn" : "none"};
}

// What is left: little of it is bad.
function leftOf(left, whole) {
  const share = whole > 0 ? Math.max(left, 0) / whole : 0;
  return {share, level: share < 0.05 ? "bad" : share < 0.2 ? "warn" : "none"};
}

// Why a breaker opened: the last event that says so, or what the counters say.
function whyOpened(view, model) {
  // An event has the name that the object was made with, which several may have.
  const isOnly = ![...model.objects.keys()].some((name) => name.startsWith(`${view.name}#`));
  const event = (model.snapshot.events?.kept ?? []).find(
    (e) => isOnly && e.kind === "breaker_changed" && e.state === "open" && e.name === view.name);
  const opened = {};
  for (const {labels, value} of view.series("holdfast.breaker.transitions")) {
    if (labels["holdfast.state"] === "open" && value > 0) opened[labels["holdfast.cause"]] = value;
  }
  const times = sum(opened);
  if (times === 0) return "never opened";
  const why = Object.entries(opened).map(([cause, count]) => (times > count ? `${words(cause)} ${countText(count)}` : words(cause)));
  const last = event ? `last at ${clockText(event.time)}: ${words(event.reason)}` : why.join(", ");
  return `opened ${plural(times, "time")}, ${last}`;
}

function showBreaker(view, model) {
  const state = view.which("holdfast.breaker.state", "holdfast.state");
  const mode = view.which("holdfast.breaker.mode", "holdfast.mode");
  const left = view.value("holdfast.breaker.open_remaining");
  const probes = view.value("holdfast.breaker.probes");
  const failures = view.value("holdfast.breaker.failure_ratio");
  const text = state === "open" ? `asks again in ${timeLeftText(left)}`
    : state === "half_open" ? `${plural(probes, "probe")} under way`
    : failures > 0 ? `${shareText(failures, 1)} failing` : "";
  const history = model.snapshot.history;
  const states = history?.breakers[view.name];
  return {
    pill: STATES[state] ?? {level: "none", text: words(state)},
    text: parts(mode && mode !== "automatic" ? words(mode) : "", text),
    strip: states && states.length > 1 ? {times: history.times, states} : undefined,
    more: whyOpened(view, model),
  };
}

function keysText(view) {
  const keys = view.value("holdfast.keys");
  const states = view.by("holdfast.keys.state", "holdfast.state");
  const some = Object.entries(states).filter(([, count]) => count > 0).map(([state, count]) => `${countText(count)} ${words(state)}`);
  const away = view.value("holdfast.keys.turned_away");
  return parts(plural(keys ?? 0, "key"), some.join(", "), away > 0 ? `${countText(away)} found no room` : "");
}

function showKeyedBreaker(view) {
  const states = view.by("holdfast.keys.state", "holdfast.state");
  const worst = states.open > 0 ? "open" : states.half_open > 0 ? "half_open" : "closed";
  const text = worst === "closed" ? "all closed" : `${countText(states[worst])} ${STATES[worst].text}`;
  return {pill: {level: STATES[worst].level, text}, more: keysText(view)};
}

function showPermits(view, prefix) {
  const limit = view.value(`${prefix}.limit`);
  const used = view.value(`${prefix}.in_use`);
  const queued = view.value(`${prefix}.queued`);
  const latency = view.value("holdfast.adaptive_limit.no_load_latency");
  return {
    text: `${numberText(used)} of ${numberText(limit)} in use`,
    fill: fillOf(used, limit),
    more: parts(queued > 0 ? `${countText(queued)} waiting` : "", latency ? `${durationText(latency)} without load` : ""),
  };
}

function showRate(view) {
  const rate = view.value("holdfast.rate_limit.rate");
  const burst = view.value("holdfast.rate_limit.burst");
  const tokens = view.value("holdfast.rate_limit.tokens");
  const limit = typeof rate === "number" ? rateText(rate) : "no limit";
  if (view.has("holdfast.keys")) return {text: rate === undefined ? "" : `${limit} a key`, more: keysText(view)};
  if (typeof tokens !== "number" || typeof burst !== "number") return {text: limit};
  return {
    text: tokens < 0 ? `${numberText(-tokens)} tokens promised` : `${numberText(Math.floor(tokens))} of ${numberText(burst)} tokens`,
    fill: leftOf(tokens, burst),
    more: `${limit}`,
  };
}

function showBudget(view) {
  const balance = view.value("holdfast.retry_budget.balance");
  const capacity = view.value("holdfast.retry_budget.capacity");
  const exhausted = view.value("holdfast.retry_budget.exhausted");
  return {
    text: `${numberText(Math.floor(balance))} of ${numberText(capacity)} retries left`,
    fill: leftOf(balance, capacity),
    more: exhausted > 0 ? `refused ${plural(exhausted, "retry", "retries")}` : "",
  };
}

function showThrottle(view) {
  const ratios = view.series("holdfast.adaptive_throttle.rejection_ratio").map(({value}) => value);
  const ratio = Math.max(0, ...ratios);
  return {text: `refuses ${shareText(ratio, 1)}`, fill: {share: ratio, level: ratio > 0.5 ? "bad" : ratio > 0 ? "warn" : "none"}};
}

function showCache(view) {
  const lookups = view.by("holdfast.cache.lookups", "holdfast.result");
  const all = sum(lookups);
  const found = all - (lookups.miss ?? 0);
  return {
    text: all > 0 ? `${shareText(found, all)} of lookups found` : "no lookup yet",
    fill: all > 0 ? {share: found / all} : undefined,
    more: plural(view.value("holdfast.cache.entries") ?? 0, "entry", "entries"),
  };
}

function showOther(view) {
  const shown = [];
  for (const [metric, series] of view.metrics) {
    for (const {labels, value} of series) {
      if (typeof value === "object") continue;
      shown.push(`${[metric, ...Object.values(labels)].join(" ")}: ${numberText(value)}`);
    }
  }
  return {more: shown.slice(0, 4).join(" · ")};
}

// By the metric that shows what an object is.
const KINDS = [
  ["holdfast.breaker.state", showBreaker],
  ["holdfast.breaker.calls", showKeyedBreaker],
  ["holdfast.bulkhead.limit", (view) => showPermits(view, "holdfast.bulkhead")],
  ["holdfast.adaptive_limit.limit", (view) => showPermits(view, "holdfast.adaptive_limit")],
  ["holdfast.rate_limit.refusals", showRate],
  ["holdfast.retry_budget.balance", showBudget],
  ["holdfast.retry_pause.remaining", (view) => {
    const left = view.value("holdfast.retry_pause.remaining");
    return left > 0 ? {pill: {level: "warn", text: "paused"}, text: `for ${timeLeftText(left)}`} : {text: "no pause"};
  }],
  ["holdfast.adaptive_throttle.requests", showThrottle],
  ["holdfast.timeout.limit", (view) => ({text: `cuts off after ${durationText(view.value("holdfast.timeout.limit"))}`})],
  ["holdfast.latency_quantile.value", (view) => {
    const {labels, value} = view.series("holdfast.latency_quantile.value")[0];
    return {text: `learned p${Number(labels["holdfast.quantile"]) * 100}: ${durationText(value)}`};
  }],
  ["holdfast.cache.lookups", showCache],
  ["holdfast.pool.threads", (view) => ({
    text: plural(view.value("holdfast.pool.threads"), "thread"),
    more: view.value("holdfast.pool.queued") > 0 ? `${countText(view.value("holdfast.pool.queued"))} waiting` : "",
  })],
];

function showObject(view, model) {
  const kind = KINDS.find(([metric]) => view.has(metric));
  return (kind ? kind[1] : showOther)(view, model);
}

