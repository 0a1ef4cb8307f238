// The funnel of a stack: how many calls come to each policy, and how many are lost there.

// [{label, settings, segments: [{kind, count}], count, what, lost, objects}]
function flowRows(stack, flow) {
  const calls = sum(flow.calls);
  const good = flow.calls.success ?? 0;
  const rows = [{
    end: true, label: "Calls", settings: "", objects: [],
    segments: [{kind: "ok", count: good}, {kind: "lost", count: calls - good}],
    count: countText(calls), value: calls,
    what: calls > good ? outcomesText(flow.calls) : "", lost: calls > good,
  }];
  // From the service upwards: what comes to a policy goes on, or is refused, or answered there. So
  // calls under way, which have not been counted yet, do not make attempts come from nowhere.
  let reached = sum(flow.attempts) + flow.no_time;
  const policies = stack.policies.map((policy, i) => [policy, flow.policies[i] ?? {refused: {}, answered: 0, again: 0}]);
  const upwards = policies.reverse().map(([policy, {refused, answered, again}]) => {
    const lost = sum(refused);
    const passing = Math.max(reached - again, 0);
    reached = passing + lost + answered;
    return policyRow(policy, {passing, lost, refused, answered, again});
  });
  rows.push(...upwards.reverse());
  if (flow.no_time > 0) {
    rows.push({
      end: true, label: "Out of time", settings: "refused without a policy", objects: [],
      segments: [{kind: "lost", count: flow.no_time}], count: `${countText(flow.no_time)} lost`, value: flow.no_time,
      what: "", lost: true,
    });
  }
  rows.push(executorRow(flow));
  return rows;
}

function outcomesText(calls) {
  return Object.entries(calls)
    .filter(([outcome, count]) => outcome !== "success" && count > 0)
    .map(([outcome, count]) => `${countText(count)} ${outcome === "failure" ? "failed" : words(outcome)}`)
    .join(", ");
}

function policyRow(policy, {passing, lost, refused, answered, again}) {
  const reasons = Object.entries(refused).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const what = [];
  if (reasons.length > 0) what.push(reasons.map(([reason, count]) => (reasons.length > 1 ? `${words(reason)} ${countText(count)}` : words(reason))).join(", "));
  if (answered > 0) what.push(`${countText(answered)} answered here`);
  if (again > 0 && lost > 0) what.push(`${countText(again)} sent again`);
  const count = lost > 0 ? `${countText(lost)} refused` : again > 0 ? `${countText(again)} sent again` : "";
  return {
    label: policy.policy, settings: policy.settings, objects: policy.objects,
    segments: [{kind: "pass", count: passing}, {kind: "other", count: answered}, {kind: "lost", count: lost}],
    count, value: lost, what: what.join(" · "), lost: lost > 0,
  };
}

function executorRow(flow) {
  const attempts = sum(flow.attempts);
  const good = flow.attempts.success ?? 0;
  const what = [outcomesText(flow.attempts)];
  if (flow.cut_off > 0) what.push(`${countText(flow.cut_off)} cut off`);
  return {
    end: true, label: "Attempts", settings: "reach the service", objects: [],
    segments: [{kind: "ok", count: good}, {kind: "lost", count: attempts - good}],
    count: countText(attempts), value: attempts, what: what.filter((text) => text).join(" · "), lost: false,
  };
}

class FlowRow {
  constructor(row) {
    this.label = element("div", {class: "policy"});
    this.settings = element("div", {class: "settings"});
    this.segments = new Map();
    this.bar = element("div", {class: "bar", "aria-hidden": "true"});
    this.number = element("span");
    this.what = element("span", {class: "what"});
    this.count = element("div", {class: "count"}, this.number, this.what);
    this.objects = element("div", {class: "objects"});
    this.node = element(
      "li", {class: row.end ? "row end" : "row"},
      element("div", {class: "label"}, this.label, this.settings), this.bar, this.count, this.objects);
  }

  update({row, most, model}) {
    setText(this.label, row.label);
    setText(this.settings, row.settings);
    for (const {kind, count} of row.segments) {
      if (!this.segments.has(kind)) {
        this.segments.set(kind, this.bar.appendChild(element("span", {class: kind})));
      }
      setWidth(this.segments.get(kind), most > 0 ? count / most : 0);
    }
    setText(this.number, row.count);
    setText(this.what, row.what);
    setAttribute(this.count, "data-value", row.value);
    this.count.classList.toggle("has-lost", row.lost);
    keepChildren(this.objects, row.objects, (object) => JSON.stringify([object.name, object.metrics]), () => {
      const box = new ObjectBox();
      return {node: box.node, update: (object) => box.show(showObject(model.current.object(object.name, object.metrics), model.current))};
    });
  }
}

