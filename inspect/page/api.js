// What the server offers. Paths are relative to the page, so that it can be mounted anywhere.

const base = new URL('.', document.baseURI);

/** Failure is the answer of a server that refused, or an unreachable one (status 0). */
export class Failure extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function request(path, init) {
  let response;
  try {
    response = await fetch(new URL(path, base), { cache: 'no-store', ...init });
  } catch {
    throw new Failure(0, 'The inspector cannot be reached.');
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new Failure(response.status, answer.error || `The inspector answered ${response.status}.`);
}

const json = async (path, init) => (await request(path, init)).json();
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== '' && value !== undefined && value !== null));
const post = (value) => ({ method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) });

export const eventsURL = new URL('events', base);
export const forgetCalls = () => request('calls', { method: 'DELETE' });
export const call = (id) => json(`calls/${encodeURIComponent(id)}`);
export const har = async (ids) => (await request('har', post({ ids }))).blob();
export const entries = (find) => json(`cache?${query({ limit: 100, ...find })}`);
export const removeEntry = (id) => request(`cache/${encodeURIComponent(id)}`, { method: 'DELETE' });
export const purge = (what) => json('cache/purge', post(what));
export const stats = (step) => json(`stats?${query({ step })}`);
