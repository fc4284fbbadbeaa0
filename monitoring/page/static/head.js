// The top of the page: what to know in ten seconds, and the steering.

import { button, can } from './act.js';
import { byId, duration, h, keyed, number, plural, say, tell } from './dom.js';

const SIGNS = { bad: '!', look: 'i', good: '✓' };

const BUTTONS = {
  resume: () => button('Go on', 'resume'),
  release: () => button('Cut over now', 'release', { ask: RELEASE }),
  retry: () => button('Try again what failed', 'retry', { ask: RETRY_ALL }),
  failures: () => h('a', { class: 'button', href: '#causes-section' }, 'See what failed'),
};

const RELEASE = { title: 'Cut over?', yes: 'Cut over',
  words: 'The tables change places as soon as they are ready; a short lock keeps writers waiting. The way back stays open.' };
const RETRY_ALL = { title: 'Try everything again that failed?', yes: 'Try again',
  words: 'Every failed job waits again, with new attempts.' };
const HOLD = { title: 'Hold the cutover?', yes: 'Hold it',
  words: 'Tables are built, verified and kept in step, and wait for your word to change places.' };
const PAUSE = { title: 'Pause the run?', yes: 'Pause', field: { label: 'Why (for the log)', name: 'reason' },
  words: 'Nothing further begins. Jobs under way end; capture goes on, so nothing is lost.' };
const PANIC = { title: 'Stop everything now?', yes: 'Stop everything', danger: true, field: { label: 'Why (for the log)', name: 'reason' },
  words: 'The run is paused and statements under way are cancelled within a second. Nothing is left half done.' };
const LIMIT = { title: 'Limit the jobs in flight', yes: 'Limit', words: 'The governor may still allow fewer.',
  field: { label: 'At most', name: 'limit', type: 'number', required: true } };
const SCALE = { title: 'How many worker processes?', yes: 'Scale', words: 'Running pools grow or shrink; jobs under way end first.',
  field: { label: 'Processes', name: 'processes', type: 'number', required: true } };

export function drawHeadlines(headlines) {
  keyed(byId('headlines'), headlines, (one) => one.words.replace(/[\d,]+/g, '#') + one.button, (one) => h('article', { class: `headline ${one.weight}` },
    h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[one.weight]),
    h('div', {}, h('h1', {}), h('p', { class: 'why' })),
    h('p', { class: 'do' }, BUTTONS[one.button] ? BUTTONS[one.button]() : null, one.command ? h('code', {}, one.command) : null),
  ), (card, one) => {
    say(card.querySelector('h1'), one.words);
    tell(card.querySelector('.why'), one.why);
  });
}

export function drawFacts(run, sections) {
  const eta = run.eta_s ? `${duration(run.eta_s.low)} to ${duration(run.eta_s.high)}` : run.state === 'running' ? 'not known yet' : '–';
  const failed = run.jobs.failed || 0;
  const window = run.window;
  const facts = [
    ['Done', `${(100 * run.share).toFixed(run.share < 0.1 ? 1 : 0)} %`, `${number(run.rows_done)} of ${number(run.rows_total)} rows`, run.share],
    ['Speed', `${number(run.rate_rows_s)} rows/s`, 'the last ten seconds'],
    ['Left', eta, run.paused ? 'of work; the pause is not counted' : `began ${duration(run.seconds)} ago`],
    ['Jobs in flight', `${number(run.jobs.leased || 0)} of ${window.now}`, `window ${window.now} of ${window.max}: ${window.reason || 'not decided yet'}`],
    ['Failed', number(failed), failed ? plural((sections.causes || []).length, 'cause') : `${number(run.jobs.waiting || 0)} wait, ${number(run.jobs.done || 0)} done`, null, failed ? 'bad' : ''],
  ];
  if (run.reverse_capture) {
    const { waiting, closed, doubtful } = run.reverse_capture;
    if (closed.length) facts.push(['Way back', 'closed', closed.join('; '), null, 'bad']);
    else if (doubtful.length) facts.push(['Way back', 'to be proved', doubtful.join('; '), null, 'bad']);
    else facts.push(['Way back', number(waiting), 'changes kept for the past tables']);
  }
  keyed(byId('facts'), facts, (fact) => fact[0], () => h('div', {}, h('dt', {}), h('dd', {}), h('p', { class: 'soft' }), h('progress', { max: 1, hidden: true })), (box, [name, value, words, share, mark]) => {
    say(box.querySelector('dt'), name);
    say(box.querySelector('dd'), value);
    say(box.querySelector('p'), words);
    box.className = mark || '';
    const bar = box.querySelector('progress');
    bar.hidden = share === undefined || share === null;
    if (!bar.hidden) { bar.value = share; bar.setAttribute('aria-label', name); }
  });
}

// What holds back only a part of the run, with the button that frees it.
function free(one) {
  const where = one.table ? { table: one.table } : { phase: one.phase };
  const what = one.kind === 'pause' ? `${one.scope} is paused` : `${one.scope}: at most ${one.max_jobs} at once`;
  return h('span', { class: 'restraint', title: `${one.by}: ${one.reason}` }, `${what} `,
    one.kind === 'pause' ? button('Go on', 'resume', { fields: where, quiet: true }) : button('Lift', 'throttle', { fields: { ...where, limit: null }, quiet: true }));
}

export function drawSteering(run, restraints) {
  if (!run) return;
  const going = run.state === 'running' || run.state === 'needs_person';
  const wanted = going ? [
    run.paused ? ['resume', () => button('Go on', 'resume')] : ['pause', () => button('Pause', 'pause', { ask: PAUSE, quiet: true })],
    run.hold_cutover ? ['release', () => button('Let the cutover go', 'release', { ask: RELEASE, quiet: true })]
      : ['hold', () => button('Hold the cutover', 'hold', { ask: HOLD, quiet: true })],
    ['throttle', () => button('Limit …', 'throttle', { ask: LIMIT, quiet: true })],
    run.window.limit !== null && ['unthrottle', () => button(`Lift the limit of ${run.window.limit}`, 'throttle', { fields: { limit: null }, quiet: true })],
    ['scale', () => button('Scale …', 'scale', { ask: SCALE, quiet: true })],
    ['panic', () => button('Stop everything', 'panic', { ask: PANIC, danger: true })],
  ] : [];
  const rest = restraints.filter((one) => one.table || one.phase).map((one) => [`free ${one.kind} ${one.scope} ${one.max_jobs}`, () => free(one)]);
  const there = [...wanted.filter(Boolean).filter(([name]) => can(name === 'unthrottle' ? 'throttle' : name)), ...rest];
  keyed(byId('steer'), there, ([name]) => name + (name === 'unthrottle' ? run.window.limit : ''), ([, make]) => make(), () => {});
}
