// Bodies: JSON set out in lines, text, and bytes in hexadecimal.

import { bytes, h } from './dom.js';

const most = 300000; // characters that are shown
const hexMost = 16384; // bytes that are shown in hexadecimal

/** bodyView shows a body. */
export function bodyView(body) {
  if (!body) return h('p', { class: 'muted' }, 'No body.');
  const type = (body.mediaType ?? '').toLowerCase();
  const facts = [bytes(body.size ?? 0), type, body.encoding && `encoded as ${body.encoding}`, body.truncated && 'only the beginning is kept', body.open && 'still arriving', body.closedEarly && 'closed before its end'];
  const head = h('p', { class: 'muted' }, facts.filter(Boolean).join(', '));
  const problem = body.error ? h('p', { class: 'problem' }, body.error) : null;
  const views = viewsOf(body);
  if (views.length === 0) {
    const why = body.hidden || (body.binary ? 'Binary, not shown.' : body.size ? 'Not kept.' : 'Empty.');
    return h('div', { class: 'body' }, head, problem, h('p', { class: 'muted' }, why));
  }
  const place = h('div', {});
  const buttons = views.map(([name, make]) => h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', on: { click: () => show(name, make) } }, name));
  const show = (name, make) => {
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.textContent === name));
    place.replaceChildren(make());
  };
  show(...views[0]);
  return h('div', { class: 'body' }, head, problem, views.length > 1 ? h('div', { class: 'choice', role: 'group', 'aria-label': 'How the body is shown' }, buttons) : null, place);
}

function viewsOf(body) {
  if (typeof body.text !== 'string' || body.text === '') return [];
  const text = body.text.length > most ? `${body.text.slice(0, most)}\n… ${bytes(body.text.length - most)} more` : body.text;
  const views = [['Text', () => pre(text)], ['Hex', () => pre(hexDump(new TextEncoder().encode(body.text.slice(0, hexMost))))]];
  const pretty = body.text.length <= most ? prettyJSON(body.text, body.truncated) : null;
  if (pretty !== null) views.unshift(['JSON', () => pre(pretty)]);
  return views;
}

const pre = (text) => h('pre', { tabindex: '0', role: 'group', 'aria-label': 'Body' }, text);

/**
 * prettyJSON sets JSON out in lines, or returns null for what is none. It moves white space alone, so that large numbers and repeated names stay as they were sent.
 * Of a text that was cut, the beginning has to look like JSON.
 */
export function prettyJSON(text, cut = false) {
  if (!/^\s*[[{]/.test(text)) return null;
  if (!cut) {
    try {
      JSON.parse(text);
    } catch {
      return null;
    }
  }
  let depth = 0;
  const line = () => '\n' + '  '.repeat(Math.min(depth, 100));
  const out = [];
  let before = '';
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{},:]|[^\s"[\]{},:]+/g)) {
    if (part === '}' || part === ']') {
      depth--;
      if (before !== '{' && before !== '[') out.push(line());
    } else if (before === '{' || before === '[' || before === ',') {
      out.push(line());
    }
    out.push(part);
    if (part === '{' || part === '[') depth++;
    if (part === ':') out.push(' ');
    before = part;
  }
  return out.join('');
}

/** hexDump shows bytes as offsets, hexadecimal, and ASCII. */
export function hexDump(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, hexMost); at += 16) {
    const row = Array.from(data.subarray(at, at + 16));
    const hex = row.map((b) => b.toString(16).padStart(2, '0'));
    const text = row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '·')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.slice(0, 8).join(' ').padEnd(23)}  ${hex.slice(8).join(' ').padEnd(23)}  ${text}`);
  }
  if (data.length > hexMost) lines.push(`… ${bytes(data.length - hexMost)} more`);
  return lines.join('\n');
}
