// Has a decoder that was generated from OTLP's protobuf files read what Metrics::OtlpJson writes, and
// checks that every value survives.
//
//   node check.mjs NODE_MODULES_PARENT VALUES_PROGRAM
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [parent, program] = process.argv.slice(2);
const require = createRequire(join(resolve(parent), 'package.json'));
const root = require('@opentelemetry/otlp-transformer/build/src/generated/root.js');
const { ExportMetricsServiceRequest } = root.opentelemetry.proto.collector.metrics.v1;

const written = JSON.parse(execFileSync(program, { maxBuffer: 1 << 28 }));
const request = JSON.parse(written.otlp);

// Integers of 64 bits are strings in proto3's JSON, and those of 32 bits and enumerators are not.
const longs = ['timeUnixNano', 'startTimeUnixNano', 'asInt', 'count', 'zeroCount', 'intValue'];
const ints = ['scale', 'offset', 'aggregationTemporality'];
function checkTypes(value, name) {
  if (Array.isArray(value)) {
    for (const element of value) {
      if (name === 'bucketCounts') assert.match(element, /^\d+$/);
      else checkTypes(element, name);
    }
  } else if (typeof value === 'object') {
    for (const [key, member] of Object.entries(value)) checkTypes(member, key);
  } else if (longs.includes(name)) {
    assert.equal(typeof value, 'string', name);
    assert.match(value, /^\d+$/, name);
  } else if (ints.includes(name)) {
    assert.ok(Number.isInteger(value), name);
  }
}
checkTypes(request, '');

const bytes = ExportMetricsServiceRequest.encode(ExportMetricsServiceRequest.fromObject(request)).finish();
const decoded = ExportMetricsServiceRequest.toObject(ExportMetricsServiceRequest.decode(bytes), { longs: String });

// What the decoder does not know it leaves out: so all that was written must be there again. An empty
// list is as good as none.
function plain(value, name) {
  if (Array.isArray(value)) return value.map((element) => plain(element, name));
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, member]) => !(Array.isArray(member) && member.length === 0))
        .map(([key, member]) => [key, plain(member, key)]));
  }
  return name === 'asDouble' || name === 'sum' ? Number(value) : value;
}
assert.deepEqual(plain(decoded, ''), plain(request, ''));

const [resourceMetrics] = decoded.resourceMetrics;
assert.deepEqual(resourceMetrics.resource.attributes, [{ key: 'service.name', value: { stringValue: 'sh"op' } }]);
const metrics = new Map(resourceMetrics.scopeMetrics[0].metrics.map((metric) => [metric.name, metric]));
const kinds = { 'a.count': 'sum', 'a.gauge': 'gauge', 'a.level': 'sum', 'a.time': 'exponentialHistogram', 'a.many': 'exponentialHistogram', 'a.port': 'sum' };
const points = (name) => metrics.get(name)[kinds[name]].dataPoints;
assert.equal(metrics.get('a.count').sum.isMonotonic, true);
assert.equal(metrics.get('a.level').sum.isMonotonic, false);
for (const name of Object.keys(kinds)) {
  if (name !== 'a.gauge') assert.equal(metrics.get(name)[kinds[name]].aggregationTemporality, 2);
  for (const point of points(name)) assert.match(point.timeUnixNano, /^1700000000123456\d\d\d$/);
}

const attributesOf = (point) => new Map(point.attributes.map(({ key, value }) => [key, value]));
const find = (name, k) => {
  const found = points(name).filter((point) => attributesOf(point).get('k')?.stringValue === k);
  assert.equal(found.length, 1, `${name} ${k}`);
  return found[0];
};

// In which bucket of scale 2 a time is: the i for which 2^(i/4) < ns / 1e9 <= 2^((i+1)/4), found with
// whole numbers alone. At the ends there is one more, for all that is shorter or longer.
function bucketOf(ns) {
  const noMoreThan = (i) => {  // ns / 1e9 <= 2^(i/4)
    const left = ns ** 4n;
    const right = 10n ** 36n;
    return i >= 0 ? left <= right << BigInt(i) : left << BigInt(-i) <= right;
  };
  let i = -81;
  while (i < 28 && !noMoreThan(i + 1)) ++i;
  return i;
}

let checked = 0;
for (const { metric, k, int, double } of written.expected) {
  const point = find(metric, k);
  if (int !== undefined) {
    assert.equal(point.asInt, int);
  } else if (double !== undefined) {
    const value = { inf: Infinity, '-inf': -Infinity, nan: NaN }[double] ?? Number(double);
    assert.ok(Object.is(point.asDouble, value), `${metric} ${k}: ${point.asDouble}`);
  } else {
    const ns = BigInt(k);
    assert.equal(point.scale, 2);
    assert.equal(point.count, '1');
    assert.equal(point.zeroCount, '0');
    assert.deepEqual(point.positive, { offset: bucketOf(ns), bucketCounts: ['1'] }, `${k} ns`);
    assert.equal(point.sum, Number(ns) / 1e9);
    assert.ok(!('min' in point) && !('max' in point) && !('negative' in point));
  }
  ++checked;
}
// A histogram with gaps, and counts that no double holds.
const [many] = points('a.many');
assert.equal(many.count, String((1n << 60n) + 7n));
assert.equal(many.sum, 0.1);
assert.deepEqual(many.positive, { offset: -2, bucketCounts: [String(1n << 60n), '0', '7'] });
// An attribute that is an integer by convention is one, if it can be.
const ports = points('a.port').map((point) => attributesOf(point).get('server.port'));
assert.deepEqual(ports, [{ intValue: '443' }, { stringValue: 'many' }, { stringValue: '9223372036854775808' }]);

console.log(`${checked} values survive in ${bytes.length} bytes`);
