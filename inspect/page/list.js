// The list of calls. Only the rows in sight are elements; they are moved and filled again, so that 10,000 calls cost what 50 do.

import { outcomeName, work } from './calls.js';
import { bytes, clock, count, duration, h, setText, shape } from './dom.js';

const spare = 6; // rows above and below what is in sight
const columns = ['outcome', 'method', 'url', 'status', 'time', 'size', 'attempts', 'layers', 'start'];

export class List {
  /** on has: open(id), select(id). */
  constructor(calls, on) {
    this.calls = calls;
    this.on = on;
    this.grid = document.getElementById('grid');
    this.rows = document.getElementById('rows');
    this.newer = document.getElementById('newer');
    this.pool = [];
    this.active = null; // the id of the row that the keyboard is on
    this.top = null; // the newest id when the list was drawn last
    this.unseen = 0;
    this.grid.addEventListener('scroll', () => this.draw(), { passive: true });
    this.grid.addEventListener('focus', () => this.#begin());
    this.rows.addEventListener('click', (event) => this.#click(event));
    this.newer.addEventListener('click', () => { this.grid.scrollTop = 0; this.grid.focus(); });
    new ResizeObserver(() => { this.height = null; this.draw(); }).observe(this.grid);
  }

  get length() { return this.calls.shown.length; }

  /** changed draws the list after calls came, and holds what is in sight in its place unless that is the newest. */
  changed() {
    const height = this.#rowHeight();
    const added = this.top === null ? 0 : this.calls.indexOf(this.top);
    if (added > 0 && this.grid.scrollTop > height / 2) {
      this.rows.style.setProperty('height', `${this.length * height}px`);
      this.grid.scrollTop += added * height;
      this.unseen += added;
    }
    this.top = this.calls.newest(0)?.id ?? null;
    this.draw();
  }

  /** filtered draws the list after the filter changed. */
  filtered() {
    this.top = this.calls.newest(0)?.id ?? null;
    this.unseen = 0;
    this.grid.scrollTop = 0;
    this.draw();
    if (this.active !== null && this.calls.indexOf(this.active) >= 0) this.#reveal(this.calls.indexOf(this.active));
  }

  draw() {
    const height = this.#rowHeight();
    const head = this.rows.offsetTop;
    const first = Math.max(0, Math.floor((this.grid.scrollTop - head) / height) - spare);
    const last = Math.min(this.length, Math.ceil((this.grid.scrollTop + this.grid.clientHeight) / height) + spare);
    this.rows.style.setProperty('height', `${this.length * height}px`);
    this.grid.setAttribute('aria-rowcount', String(this.length + 1));
    const inSight = new Map();
    for (let n = first; n < last; n++) inSight.set(this.calls.newest(n).id, n);
    const free = this.pool.filter((row) => !inSight.has(row.id));
    const kept = new Map(this.pool.filter((row) => inSight.has(row.id)).map((row) => [row.id, row]));
    let before = null; // rows are in the document in the order in which they are read
    for (const [id, n] of inSight) {
      const row = kept.get(id) ?? free.pop() ?? this.#row();
      this.#fill(row, this.calls.get(id), n, height);
      if (row.element.previousElementSibling !== before) before ? before.after(row.element) : this.rows.prepend(row.element);
      before = row.element;
    }
    for (const row of free) {
      Object.assign(row, { id: null, call: null });
      row.element.hidden = true;
    }
    while (this.pool.length > 2 * inSight.size + 20 && free.length > 0) this.#remove(free.pop());
    const active = this.active !== null && inSight.has(this.active) ? `call-${this.active}` : null;
    if (active) this.grid.setAttribute('aria-activedescendant', active);
    else this.grid.removeAttribute('aria-activedescendant');
    if (this.grid.scrollTop < height) this.unseen = 0;
    this.newer.hidden = this.unseen === 0;
    setText(this.newer, `${count(this.unseen)} newer ↑`);
    work.frames++;
  }

  #remove(row) {
    row.element.remove();
    this.pool.splice(this.pool.indexOf(row), 1);
  }

  #row() {
    const cells = Object.fromEntries(columns.map((name) => [name, h('span', { role: 'gridcell', class: `c-${name}${['time', 'size', 'attempts', 'start'].includes(name) ? ' num' : ''}` })]));
    const word = h('span');
    const use = shape('none');
    cells.outcome.append(use, word);
    const origin = h('span', { class: 'origin' });
    const path = h('span', { class: 'path' });
    cells.url.append(origin, path);
    const row = { id: null, call: null, n: -1, cells, word, use: use.firstChild, origin, path, element: h('div', { role: 'row', class: 'row' }, Object.values(cells)) };
    this.rows.append(row.element);
    this.pool.push(row);
    return row;
  }

  #fill(row, call, n, height) {
    const element = row.element;
    element.hidden = false;
    if (row.n !== n || row.height !== height) {
      element.style.setProperty('transform', `translateY(${n * height}px)`);
      element.setAttribute('aria-rowindex', String(n + 2));
      element.classList.toggle('odd', n % 2 === 1);
      Object.assign(row, { n, height });
    }
    const selected = call.id === this.active;
    if (row.selected !== selected || row.id !== call.id) element.setAttribute('aria-selected', String(selected));
    row.selected = selected;
    if (row.call === call) return;
    work.rows++;
    Object.assign(row, { call, id: call.id });
    element.id = `call-${call.id}`;
    element.dataset.outcome = call.outcome;
    element.classList.toggle('bad', call.status >= 400 || call.outcome === 'error');
    row.use.setAttribute('href', '#shape-' + call.outcome);
    setText(row.word, outcomeName(call.outcome));
    setText(row.cells.method, call.method);
    setText(row.origin, call.origin);
    setText(row.path, call.path);
    row.cells.url.title = call.url;
    setText(row.cells.status, call.status ? String(call.status) : call.open ? '…' : 'none');
    setText(row.cells.time, call.open && !call.duration ? '…' : duration(call.duration));
    setText(row.cells.size, bytes(call.size));
    setText(row.cells.attempts, String(call.attempts));
    setText(row.cells.layers, call.layers.join(', '));
    setText(row.cells.start, clock(call.start));
  }

  /** move puts the keyboard on another row: by so many, or to the first or last. */
  move(by) {
    if (this.length === 0) return;
    const at = this.active === null ? -1 : this.calls.indexOf(this.active);
    const to = at < 0 ? (by === Infinity ? this.length - 1 : 0) : Math.max(0, Math.min(this.length - 1, at + by));
    this.#activate(this.calls.newest(to).id, to);
  }

  page() { return Math.max(1, Math.floor(this.grid.clientHeight / this.#rowHeight()) - 2); }

  #activate(id, at) {
    this.active = id;
    this.#reveal(at);
    this.draw();
    this.on.select(id);
  }

  #reveal(at) {
    const height = this.#rowHeight();
    const head = this.rows.offsetTop;
    const upper = at * height;
    const lower = upper + height + head - this.grid.clientHeight;
    if (this.grid.scrollTop > upper) this.grid.scrollTop = upper;
    else if (this.grid.scrollTop < lower) this.grid.scrollTop = lower;
  }

  #begin() {
    if (this.grid.matches(':focus-visible') && (this.active === null || this.calls.indexOf(this.active) < 0) && this.length > 0) this.move(-Infinity);
  }

  #click(event) {
    const element = event.target.closest('.row');
    const row = this.pool.find((each) => each.element === element);
    if (!row) return;
    this.#activate(row.id, row.n);
    this.on.open(row.id);
  }

  #rowHeight() {
    return this.height ??= this.rows.previousElementSibling.offsetHeight || 28;
  }
}
