// What failed, grouped by cause: what it is, one example, what to do, and the buttons for it.

import { button } from './act.js';
import { byId, clock, h, keyed, number, plural, say, show, tell } from './dom.js';
import { openCell, SKIPPED_KINDS, SKIP } from './chunks.js';

export function drawCauses(causes) {
  show(byId('causes-section'), causes.length > 0);
  keyed(byId('causes'), causes, (cause) => JSON.stringify([cause.class, cause.sqlstate, cause.places.every(maySkip)]), make, update);
}

const maySkip = (place) => SKIPPED_KINDS.includes(place.kind);

function make(cause) {
  // What has no name cannot be chosen as one: its jobs have buttons of their own.
  const which = { cause: cause.class || cause.sqlstate };
  return h('article', { class: 'cause' },
    h('h3', {}),
    h('p', { class: 'message' }),
    h('p', { class: 'example soft' }),
    h('p', { class: 'next' }),
    which.cause && h('p', { class: 'buttons' },
      button('Retry', 'retry', { fields: which }),
      button('Retry in smaller chunks', 'retry', { fields: { ...which, smaller: true }, quiet: true }),
      cause.places.every(maySkip) && button('Skip …', 'skip', { fields: which, ask: SKIP, quiet: true })),
    h('ul', { class: 'places' }));
}

function update(card, cause) {
  const where = cause.objects === 1 ? `${cause.kind} ${cause.table}` : `${number(cause.objects)} tables`;
  say(card.querySelector('h3'), `${cause.class || 'failed'}${cause.sqlstate ? ` (${cause.sqlstate})` : ''} · ${plural(cause.jobs, 'job')} · ${where}`);
  say(card.querySelector('.message'), cause.message || '');
  const row = cause.row_key ? `, the row ${Object.entries(cause.row_key).map(([name, value]) => `${name} = ${value}`).join(', ')}` : '';
  say(card.querySelector('.example'), `E.g. job ${cause.job}: ${cause.kind} ${cause.table}${cause.range ? ` ${cause.range}` : ''}${row}, ${plural(cause.attempts, 'attempt')}${cause.last_at ? `, at ${clock(cause.last_at)}` : ''}`);
  tell(card.querySelector('.next'), `Next: ${cause.suggestion}`);
  keyed(card.querySelector('.places'), cause.places, (place) => place.object + place.kind, (place) => h('li', {},
    h('button', { type: 'button', class: 'link', onclick: () => openCell({ title: `${place.table}: ${place.kind}`, kind: place.kind, object: place.object,
      first: 0, last: Number.MAX_SAFE_INTEGER }) }, ''), h('span', { class: 'soft' })), (line, place) => {
    say(line.querySelector('button'), `${place.kind} ${place.table}`);
    say(line.querySelector('span'), ` ${plural(place.jobs, 'job')}`);
  });
}
