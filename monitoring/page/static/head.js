// The top of the page: what to know in ten seconds, and the steering.

import { button, can } from './act.js';
import { byId, duration, h, keyed, moment, number, percent, plural, say, show, tell } from './dom.js';

const SIGNS = { bad: '!', look: 'i', good: '✓' };

const BUTTONS = {
  resume: () => button('Resume', 'resume'),
  release: () => button('Cut over now', 'release', { ask: RELEASE }),
  retry: () => button('Retry failed jobs', 'retry', { ask: RETRY_ALL }),
  failures: () => h('a', { class: 'button', href: '#causes-section' }, 'See what failed'),
};

const RELEASE = { title: 'Cut over?', yes: 'Cut over', weighed: true,
  words: 'The tables are swapped as soon as they are ready. A short lock makes writers wait. A rollback stays possible.' };
const ROLLBACK = { title: 'Roll it back?', yes: 'Roll back', weighed: true, danger: true,
  words: 'What was built is removed. After a swap, the past tables come back, with everything that was written since.' };
const RETRY_ALL = { title: 'Retry all failed jobs?', yes: 'Retry',
  words: 'Every failed job is tried again, with new attempts.' };
const HOLD = { title: 'Hold the cutover?', yes: 'Hold it',
  words: 'Tables are built, verified and drained, and are not swapped until you start the cutover.' };
const PAUSE = { title: 'Pause the run?', yes: 'Pause', field: { label: 'Why (for the log)', name: 'reason' },
  words: 'No further job starts. Running jobs end. Capture continues, so no change is lost.' };
const PANIC = { title: 'Stop everything now?', yes: 'Stop everything', danger: true, field: { label: 'Why (for the log)', name: 'reason' },
  words: 'The run is paused, and running statements are cancelled within a second. No job is left half done.' };
const LIMIT = { title: 'Limit the jobs in flight', yes: 'Limit', words: 'The governor may still allow fewer.',
  field: { label: 'At most', name: 'limit', type: 'number', required: true } };
const SCALE = { title: 'How many worker processes?', yes: 'Scale', words: 'Running pools grow or shrink; running jobs end first.',
  field: { label: 'Processes', name: 'processes', type: 'number', required: true } };

const card = (one) => h('article', { class: `headline ${one.weight}`, 'data-kind': one.kind },
  h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[one.weight]),
  h('div', {}, h('h1', {}), h('p', { class: 'why' })),
  h('p', { class: 'do' }, BUTTONS[one.button] ? BUTTONS[one.button]() : null, one.command ? h('code', {}, one.command) : null));

const write = (element, one) => {
  say(element.querySelector('h1'), one.words);
  tell(element.querySelector('.why'), one.why);
};

export function drawHeadlines(headlines) {
  keyed(byId('headlines'), headlines, (one) => [one.kind, one.weight, one.button, one.command, one.kind === 'cutover_waits' ? one.words : ''].join(' '), card, write);
}

// What keeps the page from seeing anything comes first, with its age; what was seen is no verdict any more.
export function drawTrouble(words, age) {
  const seen = age === null ? '' : `The figures below are from ${duration(age)} ago.`;
  const [first, ...rest] = words.split(': ');
  const why = [rest.join(': '), seen].filter(Boolean).join(' ');
  keyed(byId('trouble'), words ? [{ weight: 'bad', kind: 'unseen', words: first, why, button: '', command: '' }] : [], (one) => one.kind, card, write);
  byId('main').classList.toggle('stale', Boolean(words));
}

// One percentage, and what it is made of.
const PARTS = ['copied', 'indexed', 'verified', 'swapped'];

function split(run) {
  const bar = h('div', { class: 'split', role: 'img', 'aria-label': `Done ${percent(run.share)}` }, ...PARTS.map((name) => h('i', { class: name })));
  return [bar, h('p', { class: 'soft parts' }, ...PARTS.map((name) => h('span', { class: name }, '')))];
}

function writeSplit(box, run) {
  PARTS.forEach((name, index) => {
    box.querySelectorAll('.split i')[index].style.width = `${(100 * run.parts[name]).toFixed(2)}%`;
    say(box.querySelectorAll('.parts span')[index], `${name} ${percent(run.behind[name])}`);
  });
  box.querySelector('.split').setAttribute('aria-label', `Done ${percent(run.share)}`);
}

function left(run, headlines) {
  const held = headlines.some((one) => one.kind === 'cutover_held');
  if (run.eta_s) return [`${duration(run.eta_s.low)} to ${duration(run.eta_s.high)}`, run.paused ? 'of work; the pause is not counted' : held ? 'of work, after you start the cutover' : `began ${duration(run.seconds)} ago`];
  if (!run.open) return ['–', `it took ${duration(run.seconds)}`];
  if (run.state === 'needs_operator') return ['–', 'it has stopped'];
  if (!run.led) return ['–', 'no coordinator is running'];
  const stopped = headlines.some((one) => one.weight === 'bad');
  return stopped ? ['–', 'it does not continue by itself'] : ['not known yet', `began ${duration(run.seconds)} ago`];
}

function brokerFact(seen) {
  const broker = seen.broker;
  if (!broker) return null;
  const age = `${duration(broker.age_s)} ago`;
  if (broker.age_s > 15) return ['Broker', 'not known', `last checked ${age}`];
  return broker.answers ? ['Broker', 'answers', `checked ${age}`] : ['Broker', 'does not answer', `checked ${age}`, 'bad'];
}

function workersFact(seen) {
  if (!seen.queues) return null;
  const most = Math.max(0, ...seen.queues.map((queue) => queue.processes));
  const bad = seen.queues.some((queue) => queue.late && !queue.processes);
  const each = seen.queues.map((queue) => `${queue.name.replace('replank.', '')} ${number(queue.processes)}`).join(', ');
  return ['Worker processes', number(most), `by queue: ${each}`, bad ? 'bad' : ''];
}

// Names and addresses are strangers' words: texts, never markup, and each on its own in its writing direction.
export function drawLogins(seen) {
  const wrong = seen.wrong_logins;
  const line = byId('logins');
  show(line, Boolean(wrong));
  if (!wrong) return;
  const refused = wrong.refused ? ` (${number(wrong.refused)} of them came too fast and were refused)` : '';
  const parts = [
    h('span', {}, `${plural(wrong.count, 'wrong login')} at this page since ${moment(wrong.since)}${refused}; the last one as “`),
    h('bdi', {}, wrong.name), h('span', {}, '” from '), h('bdi', {}, wrong.address), h('span', {}, `, ${moment(wrong.last_at)}`),
  ];
  // Not each time: a selection is not disturbed.
  if (line.textContent !== parts.map((part) => part.textContent).join('')) line.replaceChildren(...parts);
}

export function drawFacts(run, sections) {
  const failed = run.jobs.failed || 0;
  const { window } = run;
  const seen = sections.seen || {};
  const quarantined = (sections.tables || []).reduce((sum, table) => sum + table.quarantined, 0);
  const last = seen.finished_at ? `the last one finished ${duration((new Date(seen.at) - new Date(seen.finished_at)) / 1000)} ago` : 'none has finished yet';
  const facts = [
    ['Done', percent(run.share), `${number(run.rows_done)} of ${number(run.rows_total)} rows copied${quarantined ? `, ${number(quarantined)} of them quarantined` : ''}`],
    ['Speed', `${number(run.rate_rows_s)} rows/s`, 'the last ten seconds'],
    ['Time left', ...left(run, sections.headlines || [])],
    ['Jobs in flight', `${number(run.jobs.leased || 0)} of ${window.now}`, `${last}; window ${window.now} of ${window.max}: ${window.reason || 'not decided yet'}`],
    ['Failed', number(failed), failed ? plural((sections.causes || []).length, 'cause') : `${number(run.jobs.waiting || 0)} wait, ${number(run.jobs.done || 0)} done`, failed ? 'bad' : ''],
    run.open && workersFact(seen), run.open && run.led && brokerFact(seen),
  ].filter(Boolean);
  if (run.reverse_capture) {
    const { waiting, closed, doubtful } = run.reverse_capture;
    if (closed.length) facts.push(['Rollback', 'not possible', closed.join('; '), 'bad']);
    else if (doubtful.length) facts.push(['Rollback', 'needs a comparison', doubtful.join('; '), 'bad']);
    else facts.push(['Changes since the swap', number(waiting), 'kept for a rollback']);
  }
  keyed(byId('facts'), facts, (fact) => fact[0], ([name]) => h('div', {}, h('dt', {}), h('dd', {}), ...(name === 'Done' ? split(run) : []), h('p', { class: 'soft words' })), (box, [name, value, words, mark]) => {
    say(box.querySelector('dt'), name);
    say(box.querySelector('dd'), value);
    say(box.querySelector('.words'), words);
    box.className = `${mark || ''} ${name === 'Done' ? 'wide' : ''}`.trim();
    if (name === 'Done') writeSplit(box, run);
  });
}

// Each pause and limit: who, since when, why, and the button that takes it away.
export function drawRestraints(restraints) {
  // The headline says it of a pause of the whole run.
  const some = restraints.filter((one) => one.kind !== 'pause' || one.table || one.phase);
  keyed(byId('restraints'), some, (one) => [one.kind, one.scope, one.max_jobs, one.since].join(' '), (one) => {
    const where = one.table ? { table: one.table } : one.phase ? { phase: one.phase } : {};
    return h('li', {}, h('span', {}), one.kind === 'pause' ? button('Resume', 'resume', { fields: where, quiet: true })
      : button('Lift', 'throttle', { fields: { ...where, limit: null }, quiet: true }));
  }, (line, one) => {
    const what = one.kind === 'pause' ? (one.cause === 'panic' ? 'is stopped (panic)' : 'is paused') : `is limited to ${plural(one.max_jobs, 'job')} at once`;
    const why = one.reason ? `: ${one.reason}` : ', without a reason';
    say(line.querySelector('span'), `${one.scope} ${what}, by ${one.by} since ${moment(one.since)}${why}`);
  });
}

export function drawSteering(run) {
  if (!run) return;
  const going = run.state === 'running' || run.state === 'needs_operator';
  const wanted = going ? [
    run.paused ? ['resume', () => button('Resume', 'resume')] : ['pause', () => button('Pause', 'pause', { ask: PAUSE, quiet: true })],
    run.hold_cutover ? ['release', () => button('Release the cutover', 'release', { ask: RELEASE, quiet: true })]
      : ['hold', () => button('Hold the cutover', 'hold', { ask: HOLD, quiet: true })],
    ['throttle', () => button('Limit …', 'throttle', { ask: LIMIT, quiet: true })],
    ['scale', () => button('Scale …', 'scale', { ask: SCALE, quiet: true })],
    ['panic', () => button('Stop everything', 'panic', { ask: PANIC, danger: true })],
  ] : [];
  const back = going || run.state === 'done' || (run.state === 'rolling_back' && !run.led);
  if (back) wanted.push(['rollback', () => button(run.state === 'rolling_back' ? 'Continue the rollback' : 'Roll back …', 'rollback', { ask: ROLLBACK, danger: true })]);
  const there = wanted.filter(([name]) => can(name));
  keyed(byId('steer'), there, ([name]) => `${name} ${run.state === 'rolling_back'}`, ([, make]) => make(), () => {});
}
