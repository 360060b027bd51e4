// The page: its views, its keys, and what connects them.

import * as api from './api.js';
import { CacheView } from './cache.js';
import { Calls, outcomeName, outcomes } from './calls.js';
import { Detail } from './detail.js';
import { announce, count, download, h, setText, shape } from './dom.js';
import { valuesOf, withKey } from './filter.js';
import { List } from './list.js';
import { Live } from './live.js';
import { StatsView } from './stats.js';

const by = (id) => document.getElementById(id);
const filter = by('filter');
const views = ['calls', 'cache', 'stats'];

const calls = new Calls();
const detail = new Detail({ close: closeCall, har: saveHAR });
const list = new List(calls, { open: openCall, select: (id) => { if (detail.id !== null) openCall(id); } });
const cacheView = new CacheView();
const statsView = new StatsView();

let frame = 0;
/** changed draws what changed, once for each frame. */
function changed() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    list.changed();
    counted();
    if (detail.id !== null) detail.changed(calls.get(detail.id));
  });
}

function counted() {
  const all = calls.all.size;
  const shown = calls.shown.length;
  setText(by('filter-count'), all === 0 ? '' : shown === all ? `${count(all)} ${all === 1 ? 'call' : 'calls'}` : `${count(shown)} of ${count(all)}`);
  by('har').disabled = shown === 0;
  by('clear').disabled = all === 0;
  by('empty').hidden = shown > 0;
  setText(by('empty-lead'), all === 0 ? 'Waiting for the first call.' : 'No call passes the filter.');
  setText(by('empty-more'), all === 0 ? 'Calls of the chain that has the inspector appear here as they happen.' : 'Esc clears it.');
  drawChips();
}

const chips = new Map(outcomes.map((outcome) => {
  const number = h('span', { class: 'number' });
  const button = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', data: { outcome }, hidden: true, on: { click: () => toggleOutcome(outcome) } }, shape(outcome), h('span', {}, outcomeName(outcome)), number);
  by('chips').append(button);
  return [outcome, { button, number }];
}));

function drawChips() {
  const chosen = valuesOf(filter.value, 'outcome');
  for (const [outcome, { button, number }] of chips) {
    const has = calls.counts.get(outcome);
    const pressed = chosen.includes(outcome);
    button.hidden = has === 0 && !pressed;
    setText(number, count(has));
    if (button.getAttribute('aria-pressed') !== String(pressed)) button.setAttribute('aria-pressed', String(pressed));
  }
}

function toggleOutcome(outcome) {
  const chosen = valuesOf(filter.value, 'outcome');
  setFilter(withKey(filter.value, 'outcome', chosen.includes(outcome) ? chosen.filter((each) => each !== outcome) : [...chosen, outcome]));
}

function setFilter(text) {
  filter.value = text;
  filtered();
}

function filtered() {
  calls.setFilter(filter.value);
  const unread = calls.filter.problem;
  by('filter-problem').hidden = unread === '';
  setText(by('filter-problem'), unread);
  if (unread) filter.setAttribute('aria-invalid', 'true');
  else filter.removeAttribute('aria-invalid');
  list.filtered();
  counted();
}

function openCall(id) {
  by('split').classList.add('open');
  return detail.show(id);
}

function closeCall() {
  const inside = by('detail').contains(document.activeElement);
  detail.close();
  by('split').classList.remove('open');
  list.draw();
  if (inside || document.activeElement === document.body) by('grid').focus();
}

async function saveHAR(ids = calls.shown) {
  if (ids.length === 0) return;
  try {
    download(await api.har(ids), 'ply.har');
    announce(`${count(ids.length)} saved as HAR.`);
  } catch (failure) {
    problem(failure.message);
  }
}

/** problem says in sight what failed. */
function problem(text) {
  announce(text);
  setText(by('filter-problem'), text);
  by('filter-problem').hidden = text === '';
}

async function clear() {
  try {
    await api.forgetCalls(); // the stream says so to all pages
    closeCall();
    announce('All calls are forgotten.');
    by('grid').focus();
  } catch (failure) {
    problem(failure.message);
  }
}

function showView(name, focus = false) {
  for (const each of views) {
    const tab = by('tab-' + each);
    tab.setAttribute('aria-selected', String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    by('view-' + each).hidden = each !== name;
  }
  if (focus) by('tab-' + name).focus();
  if (name === 'cache') cacheView.show(); else cacheView.hide();
  if (name === 'stats') statsView.show(); else statsView.hide();
  if (name === 'calls') list.draw();
}

const view = () => views.find((name) => !by('view-' + name).hidden);

const states = { live: ['hit', 'Live'], connecting: ['open', 'Connecting'], waiting: ['error', 'Connection lost, trying again'] };

function state(word) {
  const place = by('connection');
  if (place.dataset.state === 'waiting' && word === 'connecting') return; // it stays lost until it is there
  const [outcome, text] = states[word];
  place.dataset.state = word;
  place.querySelector('use').setAttribute('href', '#shape-' + outcome);
  setText(place.querySelector('span'), text);
}

const letters = {
  '/': () => { showView('calls'); filter.focus(); filter.select(); },
  '?': () => by('help').showModal(),
  j: () => rowKey(1), k: () => rowKey(-1),
  c: () => detail.copyCurl(),
  e: () => saveHAR(),
  1: () => showView('calls', true), 2: () => showView('cache', true), 3: () => showView('stats', true),
};

function rowKey(step) {
  if (view() !== 'calls') return;
  if (document.activeElement !== by('grid') && !by('detail').contains(document.activeElement)) by('grid').focus();
  list.move(step);
}

const gridKeys = {
  ArrowDown: () => list.move(1), ArrowUp: () => list.move(-1), PageDown: () => list.move(list.page()), PageUp: () => list.move(-list.page()), Home: () => list.move(-Infinity), End: () => list.move(Infinity),
  Enter: async () => {
    if (list.active === null) return;
    await openCall(list.active);
    detail.focus();
  },
};

function escape() {
  if (document.activeElement === filter && filter.value !== '') setFilter('');
  else if (detail.id !== null) closeCall();
  else if (filter.value !== '') setFilter('');
  else if (document.activeElement === filter) by('grid').focus();
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input:not([type=checkbox]), select, textarea') !== null && event.target.closest !== undefined;
  const take = (action) => { event.preventDefault(); action(); };
  if (event.key === 'Escape') take(escape);
  else if (event.target === by('grid') && gridKeys[event.key]) take(gridKeys[event.key]);
  else if (event.target === filter && (event.key === 'ArrowDown' || event.key === 'Enter')) take(() => { by('grid').focus(); list.move(0); });
  else if (!typing && by('single-keys').checked && Object.hasOwn(letters, event.key)) take(letters[event.key]);
});

document.querySelector('.tabs').addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) showView(views[(views.indexOf(view()) + step + views.length) % views.length], true);
});
for (const name of views) by('tab-' + name).addEventListener('click', () => showView(name));
filter.addEventListener('input', filtered);
by('filter-form').addEventListener('submit', (event) => event.preventDefault());
by('har').addEventListener('click', () => saveHAR());
by('clear').addEventListener('click', clear);
by('help-open').addEventListener('click', () => by('help').showModal());
by('single-keys').checked = localStorage.getItem('ply-single-keys') !== 'off';
by('single-keys').addEventListener('change', (event) => localStorage.setItem('ply-single-keys', event.target.checked ? 'on' : 'off'));

/** cacheChanged takes in what the cache counts. */
function cacheChanged(counts) {
  cacheView.changed();
  statsView.counted(counts);
}

counted();
new Live(calls, { changed, state, hello: () => {}, stats: (bucket) => statsView.put(bucket), cache: cacheChanged }).start();
