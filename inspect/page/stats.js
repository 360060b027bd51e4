// Statistics over time, as plots and as a table.

import * as api from './api.js';
import { bytes, clock, count, h, s } from './dom.js';

const series = [['hits', 'hit'], ['stale', 'stale'], ['revalidated', 'revalidated'], ['refreshed', 'refreshed'], ['collapsed', 'collapsed'], ['misses', 'miss'], ['bypassed', 'bypass'], ['refused', 'refused'], ['direct', 'none'], ['errors', 'error']];
const width = 600;
const height = 140;
const ranges = { 1: { span: 120, per: 'second', says: 'the last two minutes' }, 60: { span: 1440, per: 'minute', says: 'the last day' } };

/** StatsView is the view of the statistics. It is drawn while it is open. */
export class StatsView {
  constructor() {
    this.place = document.getElementById('stats');
    this.buckets = new Map();
    this.open = false;
    this.cache = null;
    this.seconds = 1;
    document.getElementById('stats-range').addEventListener('change', (event) => {
      this.seconds = Number(event.target.value);
      this.show();
    });
  }

  async show() {
    this.open = true;
    const seconds = this.seconds;
    try {
      const all = await api.stats(seconds);
      if (seconds !== this.seconds) return;
      this.step = all.stepMs || 1000 * seconds;
      this.buckets = new Map((all.buckets ?? []).map((bucket) => [bucket.t, bucket]));
      this.totals = all.totals ?? {};
      this.cache = all.cache ?? this.cache;
    } catch (failure) {
      this.place.replaceChildren(h('p', { class: 'problem', role: 'alert' }, failure.message));
      return;
    }
    this.#draw();
    clearInterval(this.clock);
    this.clock = setInterval(() => this.#draw(), 1000);
  }

  hide() {
    this.open = false;
    clearInterval(this.clock);
  }

  /** put takes in the bucket of now; what it has more than before is added to the totals. */
  put(bucket) {
    if (!this.open || !this.totals) return;
    if (this.seconds !== 1) { // seconds come; minutes are asked for, once in a while
      this.late ||= setTimeout(() => { this.late = 0; if (this.open && this.seconds !== 1) this.show(); }, 2000);
      return;
    }
    const before = this.buckets.get(bucket.t) ?? {};
    for (const name of ['requests', 'exchanges', 'bytes', ...series.map(([key]) => key)]) this.totals[name] = (this.totals[name] ?? 0) + (bucket[name] ?? 0) - (before[name] ?? 0);
    this.buckets.set(bucket.t, bucket);
  }

  /** counted takes in the counts of the cache. */
  counted(counts) { this.cache = counts; }

  #draw() {
    if (!this.open || this.place.querySelector('details[open]')?.contains(document.activeElement)) return;
    const { span, per, says } = ranges[this.seconds];
    const newest = Math.max(Math.floor(Date.now() / this.step) * this.step, ...this.buckets.keys());
    const times = Array.from({ length: span }, (_, n) => newest - (span - 1 - n) * this.step);
    for (const t of this.buckets.keys()) if (t < times[0] - 600 * this.step) this.buckets.delete(t);
    const row = times.map((t) => this.buckets.get(t) ?? {});
    const level = levels(row, [...this.buckets.values()].filter((bucket) => bucket.t < times[0]).at(-1));
    if (this.cache) level[span - 1] = this.cache.entries ?? 0;
    const open = this.place.querySelector('details')?.open ?? false;
    this.place.replaceChildren(tiles(this.totals, this.cache), h('div', { class: 'plots' },
      plot(`Requests per ${per}`, says, times, stack(row), count), plot(`Bytes received per ${per}`, says, times, [{ name: 'bytes', values: row.map((each) => each.bytes ?? 0), base: null }], bytes),
      this.cache ? plot('Entries of the cache', says, times, [{ name: 'entries', values: level, base: null }], count) : null), table(says, times, row, open));
  }
}

/** levels carries a number of entries on to the seconds in which nothing happened. */
function levels(row, before) {
  let last = before?.entries ?? 0;
  return row.map((each) => { last = each.entries ?? last; return last; });
}

/** stack puts the outcomes on top of each other. */
export function stack(row) {
  const base = row.map(() => 0);
  return series.map(([key, name]) => {
    const values = row.map((each) => each[key] ?? 0);
    const under = base.slice();
    values.forEach((value, n) => { base[n] += value; });
    return { name, values, base: under };
  }).filter((each) => each.values.some((value) => value > 0));
}

function tiles(totals, cache) {
  const served = (totals.hits ?? 0) + (totals.stale ?? 0) + (totals.collapsed ?? 0);
  const looked = (totals.requests ?? 0) - (totals.direct ?? 0);
  const all = [['Requests', count(totals.requests ?? 0)], ['Served without the origin', looked > 0 ? `${Math.round((100 * served) / looked)} %` : 'none yet'], ['Errors', count(totals.errors ?? 0)],
    ['Sent to origins', count(totals.exchanges ?? 0)], ['Bytes received', bytes(totals.bytes ?? 0)], ['Entries', cache ? count(cache.entries ?? 0) : '']];
  return h('dl', { class: 'tiles' }, all.filter(([, value]) => value !== '').map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

/** nice is the next round number. */
export function nice(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= n);
}

function plot(title, says, times, all, unit) {
  const top = nice(Math.max(2, ...times.map((_, n) => all.reduce((sum, each) => sum + each.values[n], 0))));
  const x = (n) => (n * width) / times.length;
  const y = (value) => height - (value * height) / top;
  const bars = all.map((each) => {
    const d = each.values.map((value, n) => {
      const base = each.base?.[n] ?? 0;
      return value > 0 ? `M${x(n).toFixed(1)} ${y(base).toFixed(1)}V${y(base + value).toFixed(1)}H${(x(n + 1) - width / times.length / 5).toFixed(1)}V${y(base).toFixed(1)}z` : '';
    }).join('');
    return s('path', { d, class: 'mark', 'data-outcome': each.name });
  });
  const total = all.reduce((sum, each) => sum + each.values.reduce((a, b) => a + b, 0), 0);
  const picture = s('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${title} over ${says}, at most ${unit(top)}` },
    [0.5, 1].map((part) => s('path', { class: 'line', d: `M0 ${y(top * part)}H${width}` })), bars, s('path', { class: 'line base', d: `M0 ${height}H${width}` }));
  const legend = all.length > 1 || all[0]?.base ? h('p', { class: 'legend', 'aria-hidden': 'true' }, all.map((each) => h('span', { data: { outcome: each.name } }, h('i', {}), each.name))) : null;
  return h('figure', { class: 'plot' }, h('figcaption', {}, title, legend),
    h('div', { class: 'frame' }, h('div', { class: 'scale', 'aria-hidden': 'true' }, h('span', {}, unit(top)), h('span', {}, unit(top / 2)), h('span', {}, '0')), picture, total === 0 ? h('p', { class: 'muted nothing' }, 'Nothing yet') : null),
    h('div', { class: 'span', 'aria-hidden': 'true' }, h('span', {}, clock(new Date(times[0]))), h('span', {}, clock(new Date(times.at(-1))))));
}

function table(says, times, row, open) {
  const names = series.filter(([key]) => row.some((each) => each[key]));
  const rows = times.map((t, n) => [t, row[n]]).filter(([, each]) => each.requests || each.exchanges).slice(-30).reverse();
  return h('details', { open }, h('summary', {}, 'The same as a table'), rows.length === 0 ? h('p', { class: 'muted' }, `Nothing in ${says}.`) : h('div', { class: 'scroll-x', tabindex: '0', role: 'region', 'aria-label': 'Statistics as a table' },
    h('table', { class: 'plain', 'aria-label': `Statistics of ${says}` }, h('thead', {}, h('tr', {}, ['At', 'Requests', ...names.map(([, name]) => name), 'Bytes'].map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, rows.map(([t, each]) => h('tr', {}, h('th', { scope: 'row' }, clock(new Date(t))), [each.requests, ...names.map(([key]) => each[key])].map((value) => h('td', { class: 'num' }, count(value ?? 0))), h('td', { class: 'num' }, bytes(each.bytes ?? 0))))))));
}
