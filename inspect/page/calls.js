// The calls that the page knows, and those that the filter shows. Nothing here touches the page.

import { matches, narrows, parse } from './filter.js';

export const outcomes = ['hit', 'stale', 'revalidated', 'refreshed', 'collapsed', 'miss', 'bypass', 'refused', 'error', 'open', 'none'];
export const outcomeNames = { open: 'under way', none: 'no cache' };
export const outcomeName = (outcome) => outcomeNames[outcome] ?? outcome;

/** work counts what was done, for those who watch that it stays little. */
export const work = { tested: 0, rows: 0, frames: 0 };

const outcomeWords = { pending: 'open', direct: 'none', bypassed: 'bypass' };

/** normal makes a call of what the server sends: every field is there, and has its type. */
export function normal(sent) {
  const call = {
    id: Number(sent.id), version: Number(sent.version) || 0, method: String(sent.method ?? ''), url: String(sent.url ?? ''), status: Number(sent.status) || 0,
    error: String(sent.error ?? ''), start: new Date(sent.start), duration: Number(sent.durationMs) || 0, open: sent.open === true, size: Number(sent.size) || 0,
    attempts: Number(sent.attempts) || 0, hops: Number(sent.hops) || 0, layers: (sent.layers ?? []).map(String), type: String(sent.mediaType ?? ''),
    reason: String(sent.reason ?? ''), outcome: outcomeWords[sent.outcome] ?? String(sent.outcome ?? 'none'),
  };
  if (!outcomes.includes(call.outcome)) call.outcome = 'none';
  Object.assign(call, split(call.url));
  call.text = `${call.method} ${call.url} ${call.status || ''} ${outcomeName(call.outcome)} ${call.error} ${call.type} ${call.layers.join(' ')}`.toLowerCase();
  return call;
}

/** split cuts a URL before its path; what is none is all path. */
function split(url) {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)(.*)$/i.exec(url);
  return match ? { origin: match[1] + match[2], host: match[2].toLowerCase(), path: match[3] || '/' } : { origin: '', host: '', path: url };
}

/** Calls are in the order in which they began: ids are numbers that rise. */
export class Calls {
  all = new Map();
  shown = []; // ids that pass the filter, oldest first
  filter = parse('');
  latest = 0;
  counts = new Map(outcomes.map((outcome) => [outcome, 0]));

  /** put takes in a call, new or changed, and reports whether it is shown. */
  put(call) {
    const before = this.all.get(call.id);
    if (before && before.version > call.version) return this.#find(call.id) >= 0;
    if (before) this.#count(before, -1);
    else if (call.id < this.latest) this.#reorder(call);
    this.latest = Math.max(this.latest, call.id);
    this.#count(call, 1);
    this.all.set(call.id, call);
    const at = this.#place(call.id);
    const was = this.shown[at] === call.id;
    const is = this.#test(call);
    if (is && !was) this.shown.splice(at, 0, call.id);
    if (!is && was) this.shown.splice(at, 1);
    return is;
  }

  /** dropBefore forgets the calls older than one. */
  dropBefore(oldest) {
    let gone = false;
    for (const call of this.all.values()) {
      if (call.id >= oldest) break;
      this.#count(call, -1);
      gone = this.all.delete(call.id);
    }
    if (gone) this.shown = this.shown.slice(this.#place(oldest));
  }

  clear() { this.dropBefore(Infinity); }

  /** setFilter shows what passes a filter. If it is narrower than the last one, only what is shown is tested. */
  setFilter(text) {
    const next = parse(text);
    const from = narrows(this.filter, next) ? this.shown : [...this.all.keys()];
    this.filter = next;
    this.shown = next.terms.length === 0 ? from.slice() : from.filter((id) => this.#test(this.all.get(id)));
  }

  /** #reorder keeps all in the order of ids when a call comes late. */
  #reorder(call) {
    const sorted = [...this.all.values(), call].sort((a, b) => a.id - b.id);
    this.all = new Map(sorted.map((each) => [each.id, each]));
  }

  get(id) { return this.all.get(id); }

  /** newest returns the nth of those shown, newest first. */
  newest(n) { return this.all.get(this.shown[this.shown.length - 1 - n]); }

  /** indexOf returns a call's place among those shown, newest first, or -1. */
  indexOf(id) {
    const at = this.#find(id);
    return at < 0 ? -1 : this.shown.length - 1 - at;
  }

  #test(call) {
    work.tested++;
    return matches(this.filter, call);
  }

  #count(call, by) { this.counts.set(call.outcome, this.counts.get(call.outcome) + by); }

  #find(id) {
    const at = this.#place(id);
    return this.shown[at] === id ? at : -1;
  }

  /** #place returns where an id is or would be, by halves: most calls are the newest. */
  #place(id) {
    let low = 0;
    let high = this.shown.length;
    if (high > 0 && this.shown[high - 1] < id) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle] < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
