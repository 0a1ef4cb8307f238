// A card for each stack: how well it does, and its funnel.

class Tile {
  constructor(name, label) {
    this.value = element("dd", {"data-tile": name});
    this.node = element("div", {class: "tile"}, element("dt", {}, label), this.value);
  }

  show(text, level = "") {
    setText(this.value, text);
    setAttribute(this.value, "class", level);
  }
}

class StackCard {
  constructor(stack, model) {
    this.model = model;
    this.title = element("h2");
    this.state = element("span", {class: "pill", hidden: ""});
    this.share = new Tile("share", "of calls succeed");
    this.rate = new Tile("rate", "calls");
    this.amplification = new Tile("amplification", "attempts a call");
    this.latency = new Tile("latency", "p50 / p99");
    this.calls = new Chart("Calls a second", [
      {kind: "area", name: "flow"},
      {kind: "line", name: "flow", label: "calls"},
      {kind: "line", name: "muted", label: "attempts"},
      {kind: "area", name: "bad", label: "lost"},
    ], rateText);
    this.times = new Chart("Latency", [
      {kind: "line", name: "warn", label: "p99"},
      {kind: "line", name: "flow", label: "p50"},
    ], durationText, {logarithmic: true});
    this.rows = element("ol", {class: "flow"});
    const tiles = [this.share, this.rate, this.amplification, this.latency];
    this.node = element(
      "section", {class: "card stack"}, element("div", {class: "card-head"}, this.title, this.state),
      element("div", {class: "overview"}, element("dl", {class: "tiles"}, ...tiles.map((tile) => tile.node)), this.calls.node, this.times.node),
      this.rows);
    setAttribute(this.node, "data-stack", stack.name);
  }

  update({stack, choice}) {
    const model = this.model.current;
    setText(this.title, stack.name);
    const recent = choice === "recent" && stack.recent?.seconds >= 1;
    const flow = recent ? stack.recent : stack.total;
    this.updateTiles(flow, recent ? stack.recent.seconds : 0);
    this.updateState(stack, model);
    this.updateCharts(model.snapshot.history, stack.name);
    const rows = flowRows(stack, flow);
    const most = Math.max(...rows.map((row) => row.segments.reduce((total, {count}) => total + count, 0)));
    keepChildren(
      this.rows, rows.map((row, i) => ({row, most, model: this.model, key: `${i} ${row.label}`})),
      (item) => item.key, (item) => new FlowRow(item.row));
  }

  updateTiles(flow, seconds) {
    const calls = sum(flow.calls);
    const good = flow.calls.success ?? 0;
    const share = calls > 0 ? good / calls : 1;
    this.share.show(shareText(good, calls), share < 0.95 ? "bad" : share < 0.99 ? "warn" : "");
    this.rate.show(seconds > 0 ? rateText(calls / seconds) : countText(calls));
    const factor = calls > 0 ? sum(flow.attempts) / calls : 0;
    this.amplification.show(calls > 0 ? `×${factor.toFixed(2)}` : "–", factor > 2 ? "warn" : "");
    const known = typeof flow.p50 === "number";
    this.latency.show(known ? `${durationText(flow.p50)} / ${durationText(flow.p99)}` : "–");
  }

  // The worst of its breakers.
  updateState(stack, model) {
    const states = stack.policies.flatMap((policy) => policy.objects)
      .map((object) => model.object(object.name, object.metrics))
      .filter((view) => view.has("holdfast.breaker.state"))
      .map((view) => view.which("holdfast.breaker.state", "holdfast.state"));
    const worst = ["open", "half_open"].find((state) => states.includes(state));
    this.state.hidden = !worst;
    if (!worst) return;
    setAttribute(this.state, "data-level", STATES[worst].level);
    setText(this.state, `breaker ${STATES[worst].text}`);
  }

  updateCharts(history, name) {
    const points = history?.stacks[name];
    this.calls.node.hidden = this.times.node.hidden = !points;
    if (!points) return;
    this.calls.update(history.times, [points.calls, points.calls, points.attempts, points.lost]);
    this.times.update(history.times, [points.p99, points.p50]);
  }
}

