// One call: why, waterfall, request and response.

import * as api from './api.js';
import { bodyView } from './body.js';
import { normal, outcomeName } from './calls.js';
import { announce, bytes, duration, h, moment, shape } from './dom.js';
import { waterfall } from './waterfall.js';

/** Detail shows the call with an id, and again when it changes. on has: close(), har(ids). */
export class Detail {
  constructor(on) {
    this.on = on;
    this.place = document.getElementById('detail');
    this.id = null;
    this.version = -1;
    this.asked = 0;
  }

  /** show shows a call. An answer that comes after the one for a later question is dropped. */
  async show(id) {
    const fresh = id !== this.id;
    this.id = id;
    const ask = ++this.asked;
    this.place.hidden = false;
    if (fresh) {
      this.version = -1;
      this.shown = null;
    }
    let call;
    try {
      call = await api.call(id);
    } catch (failure) {
      if (ask !== this.asked) return;
      if (failure.status === 404 && !fresh) this.#note('This call is no longer kept; it is shown as it was last.');
      else this.place.replaceChildren(this.#bar(null), h('p', { class: 'problem', role: 'alert' }, failure.status === 404 ? 'This call is no longer kept.' : failure.message));
      return;
    }
    if (ask !== this.asked) return;
    this.#draw(call, fresh);
  }

  /** changed asks again if the call that is shown has a newer version. */
  changed(call) {
    if (call && call.id === this.id && call.version > this.version && this.version >= 0) {
      this.version = call.version;
      this.show(call.id);
    }
  }

  close() {
    this.asked++;
    this.id = null;
    this.shown = null;
    this.place.hidden = true;
    this.place.replaceChildren();
  }

  focus() { this.place.focus(); }

  async copyCurl() {
    if (!this.shown) return;
    try {
      await navigator.clipboard.writeText(curl(this.shown));
      announce('Copied as curl, without secrets.');
      this.copied.textContent = 'Copied';
      setTimeout(() => { this.copied.textContent = 'Copy as curl'; }, 2000);
    } catch {
      announce('The browser did not allow copying.');
    }
  }

  #note(text) {
    this.place.querySelector('.gone')?.remove();
    this.place.firstChild?.after(h('p', { class: 'problem gone', role: 'status' }, text));
  }

  #draw(call, fresh) {
    const held = this.#held();
    this.shown = call;
    this.version = call.version;
    const hops = call.hopList ?? [];
    const parts = [
      this.#bar(call),
      call.incomplete ? h('p', { class: 'problem' }, call.incomplete) : null,
      h('section', {}, h('h3', {}, 'Why'), why(call)),
      h('section', {}, h('h3', {}, 'Waterfall'), waterfall(call)),
      hops.map((hop, n) => this.#hop(hop, n, hops.length)),
      (call.chain ?? []).length > 0 ? h('section', {}, h('h3', {}, 'Chain'), h('p', { class: 'chain' }, call.chain.map((layer) => h('span', {}, layer.name)))) : null,
    ];
    this.place.setAttribute('aria-label', `Call ${call.method} ${call.url}`);
    this.place.replaceChildren(...parts.flat().filter(Boolean));
    this.#restore(held, fresh);
  }

  /** #held is what the reader would lose when the call is drawn again. */
  #held() {
    const all = [...this.place.querySelectorAll('button, summary, pre, a')];
    const open = [...this.place.querySelectorAll('[aria-pressed=true]')].map((each) => each.textContent);
    return { at: all.indexOf(document.activeElement), inside: this.place.contains(document.activeElement), scroll: this.place.scrollTop, open };
  }

  #restore(held, fresh) {
    if (fresh) {
      this.place.scrollTop = 0;
      return;
    }
    this.place.scrollTop = held.scroll;
    for (const [n, group] of [...this.place.querySelectorAll('.choice')].entries()) {
      [...group.children].find((button) => button.textContent === held.open[n])?.click();
    }
    if (held.inside && !this.place.contains(document.activeElement)) (this.place.querySelectorAll('button, summary, pre, a')[held.at] ?? this.place).focus({ preventScroll: true });
  }

  #bar(sent) {
    const close = h('button', { type: 'button', class: 'quiet close', 'aria-label': 'Close the call', on: { click: () => this.on.close() } }, '×');
    if (!sent) return h('header', { class: 'top' }, close);
    const call = normal(sent);
    this.copied = h('button', { type: 'button', on: { click: () => this.copyCurl() } }, 'Copy as curl');
    const facts = [
      ['Status', call.status ? `${call.status} ${sent.proto ?? ''}` : call.error ? 'none' : 'none yet'], ['Time', `${duration(call.duration)}${call.open ? ', under way' : ''}`],
      ['Size', bytes(call.size)], ['Requests sent', String(call.attempts)], ['Waited', sent.waitMs ? duration(sent.waitMs) : ''], ['Started', moment(call.start)],
    ];
    return h('header', { class: 'top' },
      h('div', { class: 'title' }, h('span', { class: 'outcome', data: { outcome: call.outcome } }, shape(call.outcome), outcomeName(call.outcome)), h('h2', {}, h('span', { class: 'method' }, call.method), ' ', call.url), close),
      call.error ? h('p', { class: 'problem' }, call.error) : null,
      h('dl', { class: 'facts' }, facts.filter(([, value]) => value !== '').map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
      h('div', { class: 'actions' }, this.copied, h('button', { type: 'button', on: { click: () => this.on.har([call.id]) } }, 'Save this call as HAR')));
  }

  #hop(hop, n, all) {
    const title = all > 1 ? h('h3', {}, `Hop ${n + 1}: `, hop.method, ' ', hop.url) : null;
    const request = h('section', { class: 'side' }, h('h4', {}, 'Request'), headerTable(hop.request?.headers, 'Fields of the request'), bodyView(hop.request?.body));
    const response = hop.response
      ? h('section', { class: 'side' }, h('h4', {}, `Response ${hop.status ?? ''}`), headerTable(hop.response.headers, 'Fields of the response'), bodyView(hop.response.body),
        hop.response.trailers?.length ? [h('h4', {}, 'Trailers'), headerTable(hop.response.trailers, 'Trailer fields')] : null)
      : h('section', { class: 'side' }, h('h4', {}, 'Response'), h('p', { class: hop.error ? 'problem' : 'muted' }, hop.error || 'None yet.'));
    return h('section', { class: 'hop' }, title, h('div', { class: 'pair' }, request, response));
  }
}

function headerTable(fields, caption) {
  if (!fields?.length) return h('p', { class: 'muted' }, 'No fields.');
  return h('table', { class: 'fields', 'aria-label': caption }, h('tbody', {}, fields.map((field) => h('tr', {}, h('th', { scope: 'row' }, field.name), h('td', {}, field.value)))));
}

function why(call) {
  if (!call.why?.length) return h('p', { class: 'muted' }, call.reason || (call.open ? 'The call is under way.' : 'No layer has said anything of this call.'));
  return h('ol', { class: 'why' }, call.why.map((each) => h('li', {},
    h('span', { class: 'layer' }, each.layer), h('span', { class: 'reason' }, each.text, call.hopList?.length > 1 ? h('span', { class: 'muted' }, ` (hop ${(each.hop ?? 0) + 1})`) : null),
    each.section ? h(safeLink(each.url) ? 'a' : 'span', { class: 'section', href: safeLink(each.url), target: safeLink(each.url) && '_blank', rel: 'noreferrer noopener' }, each.section) : null)));
}

/** safeLink is a URL only if it is one of the documents that rules stand in. */
export function safeLink(url) {
  return typeof url === 'string' && /^https:\/\/(www\.rfc-editor\.org|datatracker\.ietf\.org|html\.spec\.whatwg\.org|fetch\.spec\.whatwg\.org)\//.test(url) ? url : null;
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** curl writes the first request of a call as a command for a POSIX shell. Secrets are not in it: the server has hidden them. */
export function curl(call) {
  const hop = call.hopList?.[0];
  const parts = ['curl'];
  if (call.method !== 'GET') parts.push(call.method === 'HEAD' ? '--head' : `--request ${quote(call.method)}`);
  for (const { name, value } of hop?.request?.headers ?? []) {
    if (/^(content-length|host|connection|transfer-encoding)$/i.test(name)) continue;
    parts.push(`--header ${quote(value === '' ? `${name};` : `${name}: ${value}`)}`);
  }
  const body = hop?.request?.body;
  if (typeof body?.text === 'string' && body.text !== '' && !body.truncated) parts.push(`--data-raw ${quote(body.text)}`);
  parts.push(`--url ${quote(call.url)}`);
  return parts.join(' \\\n  ');
}
