// The cache: its entries, how fresh they are, and removing them.

import * as api from './api.js';
import { announce, bytes, count, h, long, moment, setText } from './dom.js';

const field = (id) => document.getElementById(id);

/** CacheView is the view of the cache. It is drawn while it is open. */
export class CacheView {
  constructor() {
    this.place = field('cache-scroll');
    this.entries = [];
    this.next = '';
    this.open = false;
    this.expanded = new Set();
    field('cache-find').addEventListener('submit', (event) => { event.preventDefault(); this.load(); });
    field('purge').addEventListener('submit', (event) => { event.preventDefault(); this.#purge(); });
    field('purge-by').addEventListener('change', () => this.#by());
    this.#by();
  }

  show() {
    this.open = true;
    this.load();
    clearInterval(this.clock);
    this.clock = setInterval(() => this.#tick(), 1000);
  }

  hide() {
    this.open = false;
    clearInterval(this.clock);
  }

  /** changed loads the entries again soon: several changes in a row cost one question. */
  changed() {
    if (!this.open || this.soon) return;
    this.soon = setTimeout(() => { this.soon = 0; if (this.open) this.load(true); }, 700);
  }

  /** load lists the entries; again keeps as many as were shown. */
  async load(again = false) {
    const ask = this.asked = (this.asked ?? 0) + 1;
    const find = { prefix: field('cache-prefix').value.trim(), tag: field('cache-tag').value.trim() };
    const want = again ? Math.max(100, this.entries.length) : 100;
    try {
      const list = await api.entries({ ...find, limit: want });
      if (ask === this.asked) this.#take(list, []);
    } catch (failure) {
      if (ask === this.asked) this.#fail(failure);
    }
  }

  async #more() {
    const find = { prefix: field('cache-prefix').value.trim(), tag: field('cache-tag').value.trim(), after: this.next };
    const focus = this.entries.length;
    try {
      this.#take(await api.entries(find), this.entries);
      this.place.querySelectorAll('tbody tr.entry button')[2 * focus]?.focus();
    } catch (failure) {
      announce(failure.message);
    }
  }

  #take(list, before) {
    this.at = performance.now();
    this.entries = [...before, ...(list.entries ?? []).map((entry) => ({ ...entry, at: performance.now() }))];
    this.next = list.next ?? '';
    const stats = list.stats ?? {};
    setText(field('cache-count'), this.entries.length === 0 ? 'No entries.' :
      `${count(this.entries.length)} ${this.entries.length === 1 ? 'entry' : 'entries'}${this.next ? ', and more' : ''}${stats.bytes ? `, ${bytes(stats.bytes)} in memory` : ''}${list.fault ? `, not all: ${list.fault}` : ''}`);
    this.#draw();
  }

  #fail(failure) {
    setText(field('cache-count'), '');
    const none = failure.status === 404;
    this.place.replaceChildren(h('div', { class: 'empty' }, h('p', { class: 'lead' }, none ? 'No cache is shown here.' : failure.message),
      none ? h('p', {}, 'Give the inspector the one of the chain: inspect.Options{Cache: c}.') : null));
    field('purge').hidden = none;
    field('cache-find').hidden = none;
  }

  #draw() {
    const focused = document.activeElement?.closest?.('tr')?.dataset.entry;
    const action = document.activeElement?.dataset?.action;
    field('purge').hidden = field('cache-find').hidden = false;
    if (this.entries.length === 0) {
      const all = field('cache-prefix').value || field('cache-tag').value;
      this.place.replaceChildren(h('div', { class: 'empty' }, h('p', { class: 'lead' }, all ? 'No entry is like that.' : 'The cache is empty.'), all ? null : h('p', {}, 'What the chain stores appears here.')));
      return;
    }
    const head = ['', 'URL', 'Status', 'Freshness', 'Size', 'Tags', ''].map((name, n) => h('th', { scope: 'col', class: n === 4 ? 'num' : undefined }, name || h('span', { class: 'hidden' }, n ? 'Remove' : 'More')));
    this.place.replaceChildren(h('table', { class: 'entries', 'aria-label': 'Entries of the cache' }, h('thead', {}, h('tr', {}, head)), h('tbody', {}, this.entries.map((entry) => this.#rows(entry)))),
      this.next ? h('p', {}, h('button', { type: 'button', on: { click: () => this.#more() } }, 'Show more')) : '');
    this.#tick();
    if (focused && action) [...this.place.querySelectorAll('tr.entry')].find((row) => row.dataset.entry === focused)?.querySelector(`[data-action=${action}]`)?.focus({ preventScroll: true });
  }

  #rows(entry) {
    const open = this.expanded.has(entry.id);
    const more = h('tr', { class: 'more', hidden: !open }, h('td', { colspan: 7 }, open ? parts(entry) : null));
    const toggle = h('button', { type: 'button', class: 'quiet', data: { action: 'more' }, 'aria-expanded': String(open), 'aria-label': `Details of ${entry.url}`, on: { click: () => {
      const now = !this.expanded.has(entry.id);
      if (now) this.expanded.add(entry.id); else this.expanded.delete(entry.id);
      more.hidden = !now;
      more.firstChild.replaceChildren(now ? parts(entry) : '');
      toggle.setAttribute('aria-expanded', String(now));
    } } }, h('span', { class: 'arrow', 'aria-hidden': 'true' }, '›'));
    const remove = h('button', { type: 'button', class: 'quiet danger', data: { action: 'remove' }, 'aria-label': `Remove ${entry.url}`, on: { click: () => this.#remove(entry) } }, 'Remove');
    const bar = h('div', { class: 'meter', role: 'meter', 'aria-label': 'Freshness', 'aria-valuemin': '0', 'aria-valuemax': '100' }, h('b', {}));
    const says = h('span', { class: 'says' });
    entry.show = { bar, says };
    return [h('tr', { class: 'entry', data: { entry: entry.id } },
      h('td', {}, toggle), h('th', { scope: 'row', class: 'url' }, h('span', { class: 'method' }, entry.method), ' ', entry.url, entry.vary?.length ? h('span', { class: 'muted' }, ` varies by ${entry.vary.join(', ')}`) : null),
      h('td', {}, String(entry.status)), h('td', { class: 'freshness' }, bar, says), h('td', { class: 'num' }, bytes(entry.size)),
      h('td', {}, h('span', { class: 'tags' }, (entry.tags ?? []).map((tag) => h('span', { class: 'tag' }, tag)))), h('td', {}, remove)), more];
  }

  /** #tick moves the bars on: what is left gets less by itself. */
  #tick() {
    for (const entry of this.entries) {
      if (!entry.show) continue;
      const passed = performance.now() - entry.at;
      const left = (entry.leftMs ?? 0) - passed;
      const lifetime = entry.lifetimeMs ?? 0;
      const part = left <= 0 || lifetime <= 0 ? 0 : Math.min(1, left / lifetime);
      const { bar, says } = entry.show;
      bar.dataset.state = left <= 0 ? 'stale' : part < 0.2 ? 'low' : 'fresh';
      bar.firstChild.style.setProperty('width', `${Math.round(100 * part)}%`);
      bar.setAttribute('aria-valuenow', String(Math.round(100 * part)));
      const text = left > 0 ? `fresh for ${long(left / 1000)}` : `stale for ${long(-left / 1000)}`;
      bar.setAttribute('aria-valuetext', text);
      setText(says, text);
    }
  }

  async #remove(entry) {
    const at = this.entries.indexOf(entry);
    try {
      await api.removeEntry(entry.id);
      announce(`Removed ${entry.url}`);
      this.entries.splice(at, 1);
      this.#draw();
      (this.place.querySelectorAll('[data-action=remove]')[Math.min(at, this.entries.length - 1)] ?? this.place).focus();
    } catch (failure) {
      announce(failure.message);
      setText(field('cache-count'), failure.message);
    }
    this.load(true);
  }

  #by() {
    const by = field('purge-by').value;
    field('purge-value-label').hidden = by === 'all';
    field('purge-value').placeholder = { tag: 'tag', url: 'https://…', pattern: 'https://example.com/users/*', all: '' }[by];
  }

  async #purge() {
    const by = field('purge-by').value;
    const value = field('purge-value').value.trim();
    if (by !== 'all' && value === '') {
      field('purge-value').focus();
      announce('Say what to remove.');
      return;
    }
    const text = by === 'all' ? 'All entries of the cache will be removed.' : `All entries with the ${by === 'url' ? 'URL' : by} ${value} will be removed.`;
    if (!await confirmed(by === 'all' ? 'Remove everything?' : 'Remove entries?', text)) return;
    try {
      const { deleted } = await api.purge(by === 'all' ? { all: true } : { [by]: value });
      if (deleted === 0) {
        const unfit = `No entry fits ${value}. A pattern is a host and a path, as example.com/img/*.png.`;
        announce(unfit);
        setText(field('cache-count'), unfit);
        return;
      }
      announce(deleted === undefined ? 'Removed.' : `${count(deleted)} removed.`);
      field('purge-value').value = '';
    } catch (failure) {
      announce(failure.message);
      setText(field('cache-count'), failure.message);
      return;
    }
    this.load();
  }
}

function parts(entry) {
  const fact = (name, value) => (value ? h('div', {}, h('dt', {}, name), h('dd', {}, value)) : null);
  const ago = (ms) => (ms === undefined ? '' : long(ms / 1000));
  return h('div', { class: 'entry-detail' },
    h('dl', { class: 'facts' }, fact('Received', moment(new Date(entry.received))), fact('Expires', entry.expires && moment(new Date(entry.expires))), fact('Age', ago(entry.ageMs)),
      fact('Lifetime', ago(entry.lifetimeMs)), fact('Last used', entry.lastUsed && moment(new Date(entry.lastUsed)))),
    h('h2', {}, 'Key'), entry.parts?.some((part) => part.value === entry.key) ? null : h('p', { class: 'key' }, entry.key),
    entry.parts?.length ? h('table', { class: 'fields', 'aria-label': 'Parts of the key' }, h('tbody', {}, entry.parts.map((part) => h('tr', {}, h('th', { scope: 'row' }, part.name), h('td', {}, part.value ?? ''))))) : null,
    entry.headers?.length ? [h('h2', {}, 'Stored fields'), h('table', { class: 'fields', 'aria-label': 'Fields of the stored response' }, h('tbody', {}, entry.headers.map((each) => h('tr', {}, h('th', { scope: 'row' }, each.name), h('td', {}, each.value)))))] : null);
}

function confirmed(title, text) {
  const dialog = field('confirm');
  field('confirm-title').textContent = title;
  field('confirm-text').textContent = text;
  dialog.showModal();
  return new Promise((resolve) => {
    const listeners = new AbortController(); // the close event of an earlier question may still be on its way: it answers nothing
    const end = (event) => {
      event.preventDefault();
      listeners.abort();
      dialog.close();
      resolve(event.submitter?.value === 'yes');
    };
    dialog.addEventListener('submit', end, { signal: listeners.signal });
    dialog.addEventListener('cancel', end, { signal: listeners.signal });
  });
}
