// The stream of what happens. It connects again by itself, later and later; the browser names the last event, and the server sends what came since.

import * as api from './api.js';
import { normal } from './calls.js';

const shortest = 500;
const longest = 15000;

/** Live keeps calls up to date. on has: changed(), hello(server), stats(bucket), cache(counts), state(word). */
export class Live {
  constructor(calls, on) {
    this.calls = calls;
    this.on = on;
    this.delay = shortest;
    this.instance = '';
  }

  start() {
    window.addEventListener('online', () => this.#connect());
    this.#connect();
  }

  #connect() {
    clearTimeout(this.timer);
    this.source?.close();
    const source = new EventSource(api.eventsURL);
    this.source = source;
    this.on.state('connecting');
    source.addEventListener('open', () => {
      this.delay = shortest;
      this.on.state('live');
    });
    source.addEventListener('error', () => {
      this.on.state('waiting');
      if (source.readyState !== EventSource.CLOSED) return; // the browser connects again
      this.timer = setTimeout(() => this.#connect(), this.delay);
      this.delay = Math.min(longest, this.delay * 2);
    });
    const hear = (name, take) => source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    hear('hello', (server) => {
      this.#instance(server);
      this.on.hello(server);
    });
    hear('reset', (server) => {
      this.calls.clear();
      this.#instance(server);
      this.on.changed();
    });
    hear('calls', (sent) => {
      for (const call of sent.calls ?? []) this.calls.put(normal(call));
      this.calls.dropBefore(sent.oldest ?? 0);
      this.on.changed();
    });
    hear('stats', (bucket) => this.on.stats(bucket));
    hear('cache', (counts) => this.on.cache(counts));
  }

  #instance(server) {
    if (this.instance !== server.instance) this.calls.clear(); // the program has been started anew
    this.instance = server.instance;
    this.on.changed();
  }
}
