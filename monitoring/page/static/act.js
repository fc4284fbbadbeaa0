// What the operator asks for: a button, a question where it matters, one request, and the answer in words.

import { byId, h, say, show, tell as put } from './dom.js';

const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const THERE = new Set(meta('actions').split(' '));

let run = null;
let afterwards = () => {};

export function steerRun(number) { run = number; }
export function onDone(callback) { afterwards = callback; }
export const can = (action) => THERE.has(action);

// A button for `action`, or null where the server has none. `fields` is what to send, or a function that says it.
// `ask` opens a question first: {title, words, yes, field: {label, name, required, type}}. Where it is `weighed`, the
// server says what hangs on it, and the database's name is to be typed.
// `then` is told whether it was done, and the answer's words.
export function button(label, action, { fields = {}, ask = null, quiet = false, danger = false, then = () => {} } = {}) {
  if (!can(action)) return null;
  const style = danger ? 'danger' : quiet ? 'quiet' : null;
  return h('button', { type: 'button', class: style, 'data-action': action, onclick: async (event) => {
    const given = typeof fields === 'function' ? fields() : fields;
    const answer = ask ? await (ask.weighed ? weighed(action, ask, event.target) : question(ask)) : {};
    if (answer) await send(action, { ...given, ...answer }, event.target, then);
  } }, label);
}

async function send(action, fields, pressed, then) {
  pressed.disabled = true;
  const answered = (words, good) => { tell(words, good); then(good, words); };
  try {
    const answer = await fetch(`run/do/${action}`, {
      method: 'POST',
      credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json', 'X-XSRFToken': meta('token') },
      body: JSON.stringify({ ...fields, run }),
    });
    const words = await answer.json().catch(() => ({ problem: `The server answered ${answer.status}.` }));
    answered(words.said || words.problem, answer.ok);
  } catch {
    answered('The server does not answer. Check the log below before you try again: the action may have been done.', false);
  } finally {
    pressed.disabled = false;
  }
  afterwards();
}

let hiding = 0;

function tell(words, good) {
  const said = byId('said');
  said.className = good ? 'notice good' : 'notice';
  put(said, words);
  show(said, true);
  clearTimeout(hiding);
  if (good) hiding = setTimeout(() => show(said, false), 15000);
}

// The consequences first: the question names database, tables, rows, what is quarantined and what failed.
async function weighed(action, ask, pressed) {
  let found;
  pressed.disabled = true;
  try {
    const answer = await fetch(`run/ask/${action}`, { credentials: 'same-origin' });
    found = await answer.json();
    if (!answer.ok) { tell(found.problem, false); return null; }
  } catch {
    tell('The server does not answer.', false);
    return null;
  } finally {
    pressed.disabled = false;
  }
  return question({ ...ask, lines: found.lines, place: `Database ${found.database} on ${found.host}`,
    field: { label: `Type the name of the database, ${found.database}`, name: 'database', required: true, expect: found.database } });
}

// The question's answer: the field's value by its name, {} where there is none, null where it was left.
function question({ title, words, yes, field = null, danger = false, lines = [], place = '' }) {
  const dialog = byId('ask');
  say(byId('ask-title'), title);
  say(byId('ask-words'), words);
  say(byId('ask-place'), place);
  show(byId('ask-place'), place !== '');
  byId('ask-lines').replaceChildren(...lines.map((line) => h('li', {}, line)));
  dialog.classList.toggle('weighed', place !== '');
  const confirm = byId('ask-yes');
  say(confirm, yes);
  confirm.className = danger ? 'danger' : '';
  const label = byId('ask-field');
  const input = label.querySelector('input');
  show(label, field !== null);
  input.required = Boolean(field && field.required);
  input.type = (field && field.type) || 'text';
  input.min = '1';
  input.value = '';
  const fits = () => { confirm.disabled = Boolean(field && field.expect) && input.value.trim() !== field.expect; };
  input.oninput = fits;
  fits();
  if (field) say(label.querySelector('span'), field.label);
  dialog.returnValue = 'no';
  dialog.showModal();
  // Leaving must not be hindered by an empty field.
  dialog.querySelector('[value="no"]').formNoValidate = true;
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      if (dialog.returnValue !== 'yes') resolve(null);
      else if (!field) resolve({});
      else resolve({ [field.name]: input.type === 'number' ? Number(input.value) : input.value.trim() });
    }, { once: true });
  });
}
