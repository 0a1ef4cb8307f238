// The page of a server of metrics in a real browser, without a window.
//
//   HOLDFAST_NODE_MODULES=<folder with node_modules> node page_test.mjs <holdfast_page_server>
//
// Time is virtual and moves when this test says so; the page is looked at until it shows what it
// should, for as long as PATIENCE.
import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {createRequire} from "node:module";
import path from "node:path";
import readline from "node:readline";
import test, {after, before} from "node:test";

const modules = path.resolve(process.env.HOLDFAST_NODE_MODULES ?? path.join(import.meta.dirname, ".."));
const require = createRequire(path.join(modules, "page_test.cjs"));
const {chromium} = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const PATIENCE = 60_000;
const ODD = 'q"uo\\te';
const SCRIPT = "<script>alert(1)</script>";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

// The program, which is told what happens.
class Scene {
  constructor(program) {
    this.process = spawn(program, [], {stdio: ["pipe", "pipe", "inherit"]});
    this.lines = readline.createInterface({input: this.process.stdout})[Symbol.asyncIterator]();
  }

  async start() {
    this.url = (await this.lines.next()).value;
  }

  async say(...commands) {
    for (const command of commands) {
      this.process.stdin.write(`${command}\n`);
      assert.equal((await this.lines.next()).value, "ok", command);
    }
  }

  async snapshot() {
    return (await fetch(`${this.url}snapshot.json`)).json();
  }

  end() {
    this.process.stdin.end();
  }
}

const scene = new Scene(process.argv[2]);
let browser;

before(async () => {
  await scene.start();
  browser = await chromium.launch({
    executablePath: process.env.HOLDFAST_CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS,
  });
});

after(async () => {
  await browser?.close();
  scene.end();
});

// A page with what it said on its console and which hosts it asked.
async function open(options = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 900}, ...options});
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.said = [];
  page.hosts = new Set();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  context.on("request", (request) => !request.url().startsWith("data:") && page.hosts.add(new URL(request.url()).host));
  await page.goto(scene.url);
  return page;
}

async function shows(page, selector, text) {
  await page.waitForFunction(
    ([where, what]) => [...document.querySelectorAll(where)].some((node) => !node.hidden && node.textContent.includes(what)),
    [selector, text], {timeout: PATIENCE});
}

async function quiet(page) {
  assert.deepEqual(page.said, []);
  assert.deepEqual([...page.hosts], [new URL(scene.url).host]);
  await page.context().close();
}

async function findings(page) {
  await page.addScriptTag({path: axe}).catch(() => page.evaluate(require("node:fs").readFileSync(axe, "utf8")));
  const {violations} = await page.evaluate(() => window.axe.run());
  return violations.filter(({impact}) => ["serious", "critical"].includes(impact)).map(({id, nodes}) => `${id}: ${nodes[0].html}`);
}

const ROW = '.card[data-stack="orders"] .row';
const row = (label) => `${ROW}:has(.policy:text-is("${label}"))`;

test("an empty registry says how to fill it", async () => {
  const page = await open();
  await shows(page, "#empty", 'metrics.Add("orders", stack);');
  await scene.say("add");
  await shows(page, ".card h2", "orders");
  assert.equal(await page.locator("#empty").isHidden(), true);
  await quiet(page);
});

test("names are shown as they are, and run nothing", async () => {
  const page = await open();
  let alerts = 0;
  page.on("dialog", async (dialog) => {
    ++alerts;
    await dialog.dismiss();
  });
  await shows(page, ".card h2", SCRIPT);
  await shows(page, `.settings`, ODD);
  assert.equal(alerts, 0);
  await quiet(page);
});

test("an outage passes: closed, open, half-open, closed", async () => {
  const page = await open();
  const state = `${ROW} .object .pill`;
  await scene.say("calls 40 ok", "advance 1000");
  await shows(page, state, "closed");
  await scene.say("calls 10 fail", "advance 500");
  await shows(page, state, "open");
  await shows(page, `${ROW} .object`, "asks again in");
  await shows(page, `${ROW} .object .line-2`, "opened 1 time");
  await shows(page, ".card-head .pill", "breaker open");
  await shows(page, ".event", `Breaker ${ODD} open: rule`);
  await shows(page, `${ROW} .what`, "circuit open");
  await scene.say("advance 5000", "probe");
  await shows(page, state, "half-open");
  await scene.say("settle ok", "calls 20 ok", "advance 1000");
  await shows(page, state, "closed");
  await shows(page, ".event", `Breaker ${ODD} closed: probes`);
  await quiet(page);
});

test("the numbers are those of /snapshot.json", async () => {
  const page = await open();
  await page.locator("#window label", {hasText: "Since start"}).click();
  const {stacks} = await scene.snapshot();
  const {total, policies} = stacks.find(({name}) => name === "orders");
  const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  const value = async (label, nth = 0) => Number(await page.locator(row(label)).nth(nth).locator(".count").getAttribute("data-value"));
  await shows(page, `${ROW} .count`, String(sum(total.calls)));
  assert.equal(await value("Calls"), sum(total.calls));
  assert.equal(await value("Attempts"), sum(total.attempts));
  const labels = await page.locator(`${ROW}:not(.end) .policy`).allTextContents();
  assert.deepEqual(labels, policies.map(({policy}) => policy));
  for (const [i, {refused}] of total.policies.entries()) {
    const shown = await page.locator(`${ROW}:not(.end)`).nth(i).locator(".count").getAttribute("data-value");
    assert.equal(Number(shown), sum(refused), policies[i].policy);
  }
  const settings = await page.locator(`${ROW}:not(.end) .settings`).allTextContents();
  assert.deepEqual(settings, policies.map((policy) => policy.settings));
  const share = await page.locator('.card[data-stack="orders"] [data-tile=share]').textContent();
  assert.equal(share, `${((100 * total.calls.success) / sum(total.calls)).toFixed(1)} %`);
  await quiet(page);
});

test("the keys that are refused most are shown, and objects without a stack", async () => {
  const page = await open();
  await scene.say("calls 200 ok");
  await shows(page, "#key-list .name", "bob");
  await shows(page, "#other-list h3", "lone");
  await shows(page, "#other-list .object", "0 of 3 in use");
  await quiet(page);
});

test("nothing is made anew when numbers change, and the focus stays", async () => {
  const page = await open();
  await shows(page, `${ROW} .policy`, "Retry");
  await page.locator("#event-filter").focus();
  await page.evaluate(() => {
    window.removed = 0;
    new MutationObserver((changes) => changes.forEach((change) => (window.removed += change.removedNodes.length)))
      .observe(document.getElementById("stacks"), {childList: true, subtree: true});
    window.rows = [...document.querySelectorAll(".row")];
  });
  const before = await page.locator(row("Attempts")).first().locator(".count").getAttribute("data-value");
  await scene.say("advance 20000", "calls 5 ok", "advance 1000");
  await page.waitForFunction(
    ([where, old]) => [...document.querySelectorAll(where)].some(
      (node) => node.querySelector(".policy").textContent === "Attempts" && node.querySelector(".count").dataset.value !== old),
    [ROW, before]);
  const same = await page.evaluate(() => window.rows.every((node) => node.isConnected));
  assert.equal(same, true);
  assert.equal(await page.evaluate(() => document.activeElement.id), "event-filter");
  await quiet(page);
});

test("it is worked by keyboard", async () => {
  const page = await open();
  await shows(page, ".card h2", "orders");
  const seen = [];
  for (let i = 0; i < 5; ++i) {
    await page.keyboard.press("Tab");
    seen.push(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.name));
  }
  assert.deepEqual(seen.slice(0, 4), ["skip", "window", "event-filter", "event-scroll"]);
  await page.locator("#window input").first().focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator("#window input:checked").getAttribute("value"), "total");
  await page.locator("#event-filter").selectOption("breaker");
  await page.waitForFunction(() => [...document.querySelectorAll(".event .text")].every((node) => node.textContent.includes("Breaker ")));
  await quiet(page);
});

test("it fits into a narrow window", async () => {
  const page = await open({viewport: {width: 390, height: 800}});
  await shows(page, ".event", "Breaker");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0);
  await quiet(page);
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious, ${colorScheme}`, async () => {
    for (const viewport of [{width: 1280, height: 900}, {width: 390, height: 800}]) {
      const page = await open({colorScheme, viewport, bypassCSP: true});
      await shows(page, ".event", "Breaker");
      assert.deepEqual(await findings(page), []);
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(Number(background.match(/\d+/)[0]) < 128, colorScheme === "dark");
      await page.context().close();
    }
  });
}

test("with twenty pages open all are served, and /metrics answers within a second", async () => {
  const context = await browser.newContext();
  const pages = [];
  const said = [];
  for (let i = 0; i < 20; ++i) {
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && said.push(message.text()));
    pages.push(page);
    await page.goto(scene.url);
  }
  for (const page of pages) await shows(page, ".card h2", "orders");
  await scene.say("calls 7 ok", "advance 1000");
  const {stacks} = await scene.snapshot();
  const attempts = Object.values(stacks[0].total.attempts).reduce((a, b) => a + b, 0);
  for (const page of pages) {
    await page.locator("#window label", {hasText: "Since start"}).click();
    await shows(page, `${ROW} .count`, new Intl.NumberFormat("en-US").format(attempts));
  }
  // The best of a few: the machine may be busy.
  const times = [];
  for (let i = 0; i < 5; ++i) {
    const began = performance.now();
    const response = await fetch(`${scene.url}metrics`);
    await response.text();
    times.push(performance.now() - began);
  }
  assert.ok(Math.min(...times) < 1000, `${times} ms`);
  assert.deepEqual(said, []);
  await context.close();
});

test("data is marked as stale when the server goes away, until it is back", async () => {
  const page = await open();
  await shows(page, "#status", "Live");
  await scene.say("stop");
  await shows(page, "#status", "No answer");
  assert.equal(await page.locator("body.stale").count(), 1);
  await scene.say("start");
  await shows(page, "#status", "Live");
  assert.equal(await page.locator("body.stale").count(), 0);
  await page.context().close();
});
