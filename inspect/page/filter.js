// The filter of the list: words, and conditions such as status:5xx. Rules alone; nothing here touches the page.

const comparison = /^(>=|<=|>|<|=)?(\d+(?:\.\d+)?)([a-zµ]*)$/;
const times = { '': 1, ms: 1, s: 1000, min: 60000, us: 0.001, 'µs': 0.001 };
const sizes = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1048576 };
const none = { '': 1 };

/** number makes the condition of a number, such as >=400 or >10kb. */
function number(value, scale) {
  const match = comparison.exec(value);
  if (!match || !(match[3] in scale)) return null;
  const limit = Number(match[2]) * scale[match[3]];
  switch (match[1]) {
    case '>': return (n) => n > limit;
    case '<': return (n) => n < limit;
    case '>=': return (n) => n >= limit;
    case '<=': return (n) => n <= limit;
    default: return (n) => n === limit;
  }
}

function status(value) {
  const group = /^([1-5])(xx|\*)?$/.exec(value);
  if (group) return (call) => Math.floor(call.status / 100) === Number(group[1]);
  const test = number(value, none);
  return test && ((call) => call.status > 0 && test(call.status));
}

const outcomeWords = { bypassed: 'bypass', pending: 'open', direct: 'none' };

const measured = (test, field) => test && ((call) => test(call[field]));

const keys = {
  status,
  outcome: (value) => (call) => call.outcome === (outcomeWords[value] ?? value),
  method: (value) => (call) => call.method.toLowerCase() === value,
  host: (value) => (call) => call.host.includes(value),
  type: (value) => (call) => call.type.toLowerCase().includes(value),
  layer: (value) => (call) => call.layers.some((layer) => layer.toLowerCase().startsWith(value)),
  time: (value) => measured(number(value, times), 'duration'),
  size: (value) => measured(number(value, sizes), 'size'),
  attempts: (value) => measured(number(value, none), 'attempts'),
  hops: (value) => measured(number(value, none), 'hops'),
};

/** token is -word, "a word", key:value or key:"value": what it says, up to the next space. */
const token = /(-?)(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/gi;

/**
 * parse reads a filter. terms must all hold; each has the text that makes it the same term in the next filter, and a test of a call.
 * problem says what cannot be read; such a term is left out.
 */
export function parse(text) {
  const terms = [];
  let problem = '';
  for (const [all, minus, name, quoted, plain] of text.matchAll(token)) {
    const value = (quoted ?? plain).toLowerCase();
    const key = name?.toLowerCase();
    if (all === '-' || (key === undefined && value === '')) continue;
    if (key !== undefined && Object.hasOwn(keys, key)) {
      if (value === '') continue;
      const tests = value.split(',').filter(Boolean).map((one) => keys[key](one));
      if (tests.length === 0 || tests.includes(null)) {
        problem ||= `${key}:${value} cannot be read; the filter goes on without it.`;
        continue;
      }
      terms.push(term(minus, null, `${key}:${value}`, (call) => tests.some((test) => test(call))));
      continue;
    }
    const word = key === undefined ? value : `${key}:${value}`; // localhost:8080 is a word
    terms.push(term(minus, word, word, (call) => call.text.includes(word)));
  }
  return { terms, problem };
}

function term(minus, word, text, test) {
  return minus ? { text: '-' + text, word: null, without: word, test: (call) => !test(call) } : { text, word, without: null, test };
}

/** matches reports whether a call passes a filter. */
export function matches(filter, call) {
  return filter.terms.every((each) => each.test(call));
}

/**
 * narrows reports whether every call that passes next passes previous, too, so that only those need to be tested:
 * each term of previous is one of next, or a word that a longer one contains.
 */
export function narrows(previous, next) {
  return previous.terms.every((old) => next.terms.some((now) =>
    now.text === old.text || (old.word !== null && now.word !== null && now.word.includes(old.word)) ||
    (old.without !== null && now.without !== null && old.without.includes(now.without))));
}

/** without removes the terms with a key from the text of a filter, and adds one with the values, if there are any. */
export function withKey(text, key, values) {
  const rest = [...text.matchAll(token)].filter(([, minus, name]) => minus !== '' || name?.toLowerCase() !== key).map(([all]) => all);
  if (values.length > 0) rest.push(`${key}:${values.join(',')}`);
  return rest.join(' ');
}

/** valuesOf returns the values that a filter names for a key. */
export function valuesOf(text, key) {
  return [...text.matchAll(token)].filter(([, minus, name]) => minus === '' && name?.toLowerCase() === key)
    .flatMap(([, , , quoted, plain]) => (quoted ?? plain).toLowerCase().split(',').filter(Boolean));
}
