// Where the snapshots come from: a stream of events, or, where the server has no more of these, a
// request again and again. A page that nobody sees asks for nothing.

const STREAM_AGAIN = 60000;  // ms until a page that asks tries for a stream again

class Feed {
  constructor(onSnapshot, onState) {
    this.onSnapshot = onSnapshot;
    this.onState = onState;
    this.refresh = 1000;
    this.received = 0;
    this.streaming = false;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    setInterval(() => this.look(), 500);
    if (!document.hidden) this.start();
  }

  start() {
    this.stop();
    this.began = performance.now();
    this.stream();
  }

  stop() {
    this.source?.close();
    this.source = undefined;
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = undefined;
  }

  stream() {
    const source = new EventSource("events");
    this.source = source;
    source.onmessage = ({data}) => {
      this.streaming = true;
      this.take(JSON.parse(data));
    };
    source.onerror = () => {
      this.streaming = false;
      if (source.readyState !== EventSource.CLOSED || source !== this.source) return;
      this.source = undefined;
      this.streamAgain = performance.now() + STREAM_AGAIN;
      this.poll();
    };
  }

  async poll() {
    this.abort = new AbortController();
    const {signal} = this.abort;
    try {
      const response = await fetch("snapshot.json", {cache: "no-store", signal});
      if (response.ok) this.take(await response.json());
    } catch {
      // look() says so if it goes on.
    }
    if (signal.aborted) return;
    this.timer = setTimeout(() => (performance.now() > this.streamAgain ? this.stream() : this.poll()), this.refresh);
  }

  take(snapshot) {
    this.received = performance.now();
    this.refresh = snapshot.refresh * 1000;
    this.onSnapshot(snapshot);
    this.look();
  }

  look() {
    if (document.hidden) return;
    const late = Math.max(3 * this.refresh, 4000);
    const last = Math.max(this.received, this.began ?? 0);
    const age = performance.now() - last;
    if (this.received === 0) {
      this.onState(age > late ? "stale" : "waiting", age > late ? "No answer" : "Connecting");
    } else if (age > late) {
      this.onState("stale", `No answer since ${clockText(Date.now() - (performance.now() - this.received))}`);
    } else {
      this.onState("live", this.streaming ? "Live" : `Live, every ${durationText(this.refresh / 1000)}`);
    }
  }
}

