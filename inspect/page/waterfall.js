// The waterfall of a call: its hops, attempts, waits and phases, as a table whose middle column is time.

import { duration, h } from './dom.js';

const phases = [['queue', 'Connection'], ['dns', 'DNS'], ['connect', 'Connect'], ['tls', 'TLS'], ['send', 'Send'], ['answer', 'Wait for answer']];

/** rowsOf returns the rows: what each is, its kind (its colour), its depth, and its span. Nothing here touches the page. */
export function rowsOf(call) {
  const rows = [];
  for (const [n, hop] of (call.hopList ?? []).entries()) {
    const whole = cover([hop.header, hop.body]);
    const facts = [hop.cache && `cache ${hop.cache}`, hop.auth && `auth ${hop.auth}`, hop.stop && `retry stopped: ${hop.stop}`, hop.status ? String(hop.status) : hop.error ? 'error' : ''];
    rows.push({ kind: 'hop', depth: 0, label: `${n > 0 ? 'Redirect' : 'Request'} ${hop.method}`, note: facts.filter(Boolean).join(', '), span: whole });
    const inside = [];
    for (const x of hop.exchanges ?? []) inside.push({ at: start(x.span) - (x.waitMs ?? 0), rows: exchangeRows(x) });
    for (const note of hop.notes ?? []) {
      inside.push({ at: start(note.span), rows: [{ kind: 'note', depth: 1, label: `${note.layer} ${note.event}`, note: note.detail ?? '', span: note.span }] });
    }
    inside.sort((a, b) => a.at - b.at);
    for (const each of inside) rows.push(...each.rows);
    if (hop.omitted) rows.push({ kind: 'note', depth: 1, label: `${hop.omitted} more exchanges`, note: 'not kept', span: null });
    if (hop.body && (hop.body.ms > 0 || hop.received > 0)) {
      rows.push({ kind: 'body', depth: 1, label: 'Body', note: hop.closedEarly ? 'closed before its end' : hop.decoded ? `${hop.decoded} decoded` : '', span: hop.body });
    }
  }
  return rows;
}

function exchangeRows(x) {
  const rows = [];
  const name = x.attempt ? `Attempt ${x.attempt}` : 'Exchange';
  if (x.waitMs > 0) rows.push({ kind: 'wait', depth: 1, label: `Wait before attempt ${x.attempt}`, note: '', span: { startMs: start(x.span) - x.waitMs, ms: x.waitMs } });
  const facts = [x.status ? String(x.status) : '', x.error, x.proto, x.reused && 'connection used again'];
  rows.push({ kind: x.error || x.status >= 500 ? 'failed' : 'exchange', depth: 1, label: x.hedge ? `${name}, hedge ${x.hedge}` : name, note: facts.filter(Boolean).join(', '), span: x.span });
  for (const [key, label] of phases) {
    if (x[key] && (x[key].ms > 0 || key === 'answer')) rows.push({ kind: key, depth: 2, label, note: '', span: x[key] });
  }
  return rows;
}

const start = (span) => span?.startMs ?? 0;
const end = (span) => start(span) + (span?.ms ?? 0);

function cover(spans) {
  const there = spans.filter(Boolean);
  if (there.length === 0) return null;
  const startMs = Math.min(...there.map(start));
  return { startMs, ms: Math.max(...there.map(end)) - startMs };
}

/** ticks returns round times on an axis, three to five of them. The last fifth has none, for the text of the one before it needs that room. */
export function ticks(total) {
  if (!(total > 0)) return [0];
  const power = 10 ** Math.floor(Math.log10(total / 4));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => total / n <= 5);
  const all = [];
  for (let n = 0; n * step <= total * 0.8; n++) all.push(n * step);
  return all;
}

/** waterfall draws the rows. */
export function waterfall(call) {
  const rows = rowsOf(call);
  if (rows.length === 0) return h('p', { class: 'muted' }, 'Nothing has been recorded yet.');
  const total = Math.max(call.durationMs ?? 0, ...rows.map((row) => end(row.span)), 0.001);
  const percent = (ms) => `${Math.max(0, Math.min(100, (100 * ms) / total))}%`;
  const axis = h('div', { class: 'axis', 'aria-hidden': 'true' }, ticks(total).map((at) => h('span', { css: { left: percent(at) } }, duration(at))));
  const lines = () => ticks(total).slice(1).map((at) => h('i', { class: 'tick', css: { left: percent(at) } }));
  const body = rows.map((row) => h('tr', { class: `depth-${row.depth}`, data: { kind: row.kind } },
    h('th', { scope: 'row' }, row.label, row.note ? h('span', { class: 'muted' }, ` ${row.note}`) : null),
    h('td', { class: 'track' }, h('div', {}, lines(), row.span ? h('b', { css: { left: percent(start(row.span)), width: percent(row.span.ms ?? 0) } }) : null)),
    h('td', { class: 'num' }, row.span ? duration(row.span.ms ?? 0) : '', row.span ? h('span', { class: 'hidden' }, ` from ${duration(start(row.span))}`) : null)));
  return h('table', { class: 'waterfall', 'aria-label': 'Waterfall' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Step'), h('th', { scope: 'col', class: 'track' }, h('span', { class: 'hidden' }, 'When'), axis), h('th', { scope: 'col', class: 'num' }, 'Time'))), h('tbody', {}, body));
}
