// Looks into a snapshot.

function sum(counts) {
  return Object.values(counts ?? {}).reduce((total, count) => total + count, 0);
}

const kAll = "";  // for the families of an object that may tell of any

// "holdfast.breaker" of "holdfast.breaker.state": an object may tell more of it later.
const familyOf = (metric) => metric.split(".").slice(0, 2).join(".");

class Model {
  constructor(snapshot) {
    this.snapshot = snapshot;
    this.objects = new Map();  // by name: a map of metrics, each with its series
    for (const metric of snapshot.metrics) {
      if (metric.keys[0] !== "holdfast.name") continue;
      for (const series of metric.series) this.add(metric, series);
    }
  }

  add(metric, series) {
    const name = series.values[0];
    if (!this.objects.has(name)) this.objects.set(name, new Map());
    const metrics = this.objects.get(name);
    if (!metrics.has(metric.name)) metrics.set(metric.name, []);
    const labels = {};
    for (let i = 1; i < metric.keys.length; ++i) labels[metric.keys[i]] = series.values[i];
    metrics.get(metric.name).push({labels, value: series.value, unit: metric.unit});
  }

  // What the object `name` tells, as far as it is of the families of `metrics`, which it told when it
  // was added: objects of two kinds may have one name. None are given where it told nothing then.
  object(name, metrics) {
    const told = this.objects.get(name) ?? new Map();
    const families = new Set(metrics.map(familyOf));
    const chosen = [...told].filter(([metric]) => families.size === 0 || families.has(familyOf(metric)));
    return new ObjectView(name, new Map(chosen));
  }

  // Names and metrics of what no stack uses.
  loose() {
    const used = new Map();
    for (const stack of this.snapshot.stacks) {
      for (const policy of stack.policies) {
        for (const object of policy.objects) {
          const families = used.get(object.name) ?? new Set();
          for (const metric of object.metrics) families.add(familyOf(metric));
          if (object.metrics.length === 0) families.add(kAll);
          used.set(object.name, families);
        }
      }
    }
    const loose = [];
    for (const [name, metrics] of this.objects) {
      const families = used.get(name) ?? new Set();
      if (families.has(kAll)) continue;
      const left = [...metrics.keys()].filter((metric) => !families.has(familyOf(metric)));
      if (left.length > 0) loose.push({name, metrics: left});
    }
    return loose;
  }
}

class ObjectView {
  constructor(name, metrics) {
    this.name = name;
    this.metrics = metrics;
  }

  has(metric) {
    return this.metrics.has(metric);
  }

  series(metric) {
    return this.metrics.get(metric) ?? [];
  }

  // Of a metric without further labels.
  value(metric) {
    return this.series(metric)[0]?.value;
  }

  // Counts by one label.
  by(metric, label) {
    const counts = {};
    for (const {labels, value} of this.series(metric)) {
      counts[labels[label]] = (counts[labels[label]] ?? 0) + value;
    }
    return counts;
  }

  // The value of the label whose series is 1.
  which(metric, label) {
    return this.series(metric).find(({value}) => value === 1)?.labels[label] ?? "";
  }
}

