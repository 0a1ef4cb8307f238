// Numbers as people read them.

const plain = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
const compact = new Intl.NumberFormat("en-US", {notation: "compact", maximumSignificantDigits: 3});

function countText(count) {
  return Math.abs(count) < 100000 ? plain.format(count) : compact.format(count);
}

function numberText(value) {
  if (typeof value === "string") return value === "Infinity" ? "no limit" : "–";
  if (Number.isInteger(value)) return countText(value);
  return new Intl.NumberFormat("en-US", {maximumSignificantDigits: 3}).format(value);
}

function rateText(perSecond) {
  if (perSecond >= 10) return `${countText(Math.round(perSecond))}/s`;
  return perSecond === 0 ? "0/s" : `${perSecond.toFixed(1)}/s`;
}

// Never 100 % if one is missing.
function shareText(part, whole) {
  if (whole === 0) return "–";
  if (part === whole) return "100 %";
  const percent = (100 * part) / whole;
  if (percent > 99) return `${(Math.floor(percent * 100) / 100).toFixed(2)} %`;
  return `${percent.toFixed(1)} %`;
}

function durationText(seconds) {
  if (typeof seconds !== "number") return "–";
  const digits = (value) => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1000)} ms`;
  if (seconds < 60) return `${digits(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

// Without fractions: for what runs.
function timeLeftText(seconds) {
  return seconds < 1 ? "less than 1 s" : durationText(Math.ceil(seconds));
}

function clockText(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString("en-GB");
}

// "circuit_open" is "circuit open".
function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

function plural(count, one, many = `${one}s`) {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

