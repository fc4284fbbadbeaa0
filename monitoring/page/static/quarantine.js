// Quarantined rows: each with its value and the reason, and a field for the corrected one.

import { button, can } from './act.js';
import { byId, h, keyed, number, plural, say, show } from './dom.js';

// After the swap the change log, through which rows return, is gone.
const TOO_LATE = ['swapped', 'validating', 'done', 'swapped_back', 'restored'];

export function drawQuarantine(tables) {
  const some = tables.filter((table) => table.quarantined);
  show(byId('quarantine-section'), some.length > 0);
  keyed(byId('quarantine'), some, (table) => `${table.no} ${TOO_LATE.includes(table.state)}`, make, (card, table) => {
    say(card.querySelector('h3'), `${table.name} · ${plural(table.quarantined, 'row')} quarantined`);
  });
}

function make(table) {
  const late = TOO_LATE.includes(table.state);
  return h('article', { class: 'cause quarantine' }, h('h3', {}),
    h('p', {}, late ? 'The table is swapped without these rows. Correct them and insert them into the new table by hand; the file has each row whole.'
      : 'The new table will not have them unless they are corrected before the cutover: here, in the live table, or in the file (replank quarantine fix).'),
    h('p', { class: 'buttons' },
      h('button', { type: 'button', onclick: () => openQuarantine(table.name, late) }, late ? 'Show' : 'Show and correct'),
      !late && button('Return rows that convert now', 'return', { fields: { table: table.name }, quiet: true })));
}

async function openQuarantine(name, late) {
  const dialog = byId('chunks');
  say(byId('chunks-title'), `${name}: quarantined rows`);
  say(byId('chunks-sum'), 'loading …');
  byId('chunks-list').replaceChildren();
  if (!dialog.open) dialog.showModal();
  try {
    const answer = await fetch(`run/quarantine?${new URLSearchParams({ table: name })}`, { credentials: 'same-origin' });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.problem);
    const { rows, total } = found;
    say(byId('chunks-sum'), total > rows.length ? `${number(rows.length)} of ${plural(total, 'row')}; the file has all` : plural(total, 'row'));
    byId('chunks-list').replaceChildren(...rows.map((row) => card(name, row, late)));
  } catch (error) {
    say(byId('chunks-sum'), error.message);
  }
}

function card(name, row, late) {
  const input = h('input', { 'aria-label': `${row.column} of row ${row.key.join(', ')}`, autocomplete: 'off', value: row.value });
  const told = h('p', { class: 'told', role: 'status' });
  const correct = button('Correct', 'fix', { fields: () => ({ table: name, key: row.key, column: row.column, value: input.value }),
    then: (done, words) => { say(told, words); told.className = done ? 'told good' : 'told bad'; } });
  const correctable = !late && can('fix') && row.value !== null;
  return h('article', { class: 'job quarantined' },
    h('p', {}, h('span', { class: 'cell quarantined', 'aria-hidden': 'true' }), ' row ', h('strong', {}, row.key.join(', '))),
    h('p', { class: 'soft' }, `${row.column}: ${row.reason}`),
    correctable ? h('p', { class: 'correct' }, input, correct) : h('p', { class: 'message' }, row.value),
    told);
}
