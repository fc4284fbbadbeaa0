// What failed, grouped by cause: what it is, one example, what to do, and the buttons for it.

import { button } from './act.js';
import { byId, clock, h, keyed, plural, say, show } from './dom.js';
import { openCell } from './chunks.js';

const SKIP = { title: 'Leave this out for good?', yes: 'Skip it', danger: true,
  words: 'The rows of these jobs will not be in the new table. The reason stays in the log.',
  field: { label: 'Reason', name: 'reason', required: true } };

export function drawCauses(causes) {
  show(byId('causes-section'), causes.length > 0);
  keyed(byId('causes'), causes, (cause) => JSON.stringify([cause.step, cause.table, cause.kind, cause.class, cause.sqlstate]), make, update);
}

function make(cause) {
  const which = { table: cause.table, step: cause.step, class: cause.class, sqlstate: cause.sqlstate, kind: cause.kind };
  return h('article', { class: 'cause' },
    h('h3', {}),
    h('p', { class: 'message' }),
    h('p', { class: 'example soft' }),
    h('p', { class: 'next' }),
    h('p', { class: 'buttons' },
      button('Try again', 'retry', { fields: which }),
      button('Try again in smaller chunks', 'retry', { fields: { ...which, smaller: true }, quiet: true }),
      button('Skip …', 'skip', { fields: which, ask: SKIP, quiet: true }),
      h('button', { type: 'button', class: 'quiet', onclick: () => openCell({ title: `${cause.table}: ${cause.kind}`, kind: cause.kind,
        object: cause.object, first: 0, last: Number.MAX_SAFE_INTEGER }) }, 'See the jobs'),
    ));
}

function update(card, cause) {
  say(card.querySelector('h3'), `${plural(cause.jobs, 'job')} · ${cause.kind} ${cause.table} · ${cause.class || 'failed'}${cause.sqlstate ? ` (${cause.sqlstate})` : ''}`);
  say(card.querySelector('.message'), cause.message || '');
  say(card.querySelector('.example'), `E.g. job ${cause.job}${cause.range ? `, ${cause.range}` : ''}, ${plural(cause.attempts, 'attempt')}${cause.last_at ? `, at ${clock(cause.last_at)}` : ''}`);
  say(card.querySelector('.next'), `Next: ${cause.suggestion}`);
}
