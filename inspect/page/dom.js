// Elements, and text in words. All that comes from a call becomes a text node: nothing here reads markup.

const svgNamespace = 'http://www.w3.org/2000/svg';

/** h makes an element. Properties: class, text, data, aria, on, hidden, and attributes. Children are nodes or text; null is left out. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** s makes an SVG element, as h does. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'css') for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** setText changes an element's text if it differs, so that an unchanged row costs no layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** shape is the symbol of an outcome. */
export function shape(outcome) {
  return s('svg', { class: 'shape', 'aria-hidden': 'true' }, s('use', { href: '#shape-' + outcome }));
}

/** announce has a screen reader say a sentence. */
export function announce(text) {
  const region = document.getElementById('announce');
  region.textContent = '';
  requestAnimationFrame(() => { region.textContent = text; });
}

/** download offers bytes as a file. */
export function download(blob, name) {
  const link = h('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** duration writes milliseconds. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '';
  const size = Math.abs(ms);
  if (size === 0) return '0 ms';
  if (size < 1) return `${Math.round(ms * 1000)} µs`;
  if (size < 9.95) return `${ms.toFixed(1)} ms`;
  if (size < 999.5) return `${Math.round(ms)} ms`;
  if (size < 59950) return `${(ms / 1000).toFixed(size < 9995 ? 2 : 1)} s`;
  return long(ms / 1000);
}

const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];

/** long writes seconds in the two largest units: "2 h 5 min". */
export function long(seconds) {
  let rest = Math.round(Math.abs(seconds));
  const parts = [];
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || (parts.length === 0 && unit === 's')) parts.push(`${count} ${unit}`);
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}

/** bytes writes a number of bytes. */
export function bytes(n) {
  if (!Number.isFinite(n) || n < 0) return '';
  if (n < 1000) return `${n} B`;
  for (const unit of ['kB', 'MB', 'GB', 'TB']) {
    n /= 1000;
    if (n < 999.5) return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${unit}`;
  }
  return `${Math.round(n)} PB`;
}

const whole = new Intl.NumberFormat('en');

/** count writes a whole number with separators. */
export function count(n) { return whole.format(n); }

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

/** clock writes the time of day. */
export function clock(date) { return Number.isNaN(+date) ? '' : clockFormat.format(date); }

/** moment writes date and time. */
export function moment(date) {
  if (Number.isNaN(+date)) return '';
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')} ${clock(date)}`;
}
