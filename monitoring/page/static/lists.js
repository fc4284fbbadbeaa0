// Phases with their barriers, the cutover, workers, the log.

import { byId, clock, duration, h, keyed, number, plural, say, show, tell } from './dom.js';

const SIGN = { done: '✓', running: '▸', waiting: '○', open: '✓', closed: '▮' };

export function drawPhases(phases) {
  keyed(byId('phases'), phases, (one) => one.phase, () => h('li', {}, h('p', { class: 'gates' }), h('h3', {}), h('ul', {}), h('p', { class: 'barrier' })), (item, one) => {
    item.className = one.state;
    const gates = one.barrier.gates;
    say(item.querySelector('.gates'), gates ? (gates.open ? `${SIGN.open} gates opened ${clock(gates.at)}` : `${SIGN.closed} gates closed: ${gates.waits}`) : '');
    say(item.querySelector('h3'), `${one.phase} ${one.name}`);
    keyed(item.querySelector('ul'), one.steps, (step) => step.name, () => h('li', {}, h('span', { class: 'sign' }), h('span', { class: 'name' }), h('span', { class: 'soft' })), (line, step) => {
      line.className = step.state;
      say(line.querySelector('.sign'), SIGN[step.state]);
      say(line.querySelector('.name'), step.name);
      const took = step.started_at && step.finished_at ? (new Date(step.finished_at) - new Date(step.started_at)) / 1000 : null;
      const blocks = step.blocks && step.state !== 'done' ? `${step.blocks[0]} of ${plural(step.blocks[1], 'block')}` : '';
      say(line.querySelector('.soft'), took !== null ? duration(took) : blocks);
    });
    say(item.querySelector('.barrier'), one.barrier.open ? `${SIGN.open} barrier open` : `${SIGN.closed} barrier closed: ${one.barrier.waits}`);
  });
}

export function drawSets(sets, run) {
  show(byId('sets-section'), sets.length > 0);
  const held = run && run.hold_cutover ? 'held by an operator' : '';
  keyed(byId('sets'), sets, (one) => one.set, () => h('article', { class: 'set' }, h('h3', {}), h('p', {})), (card, one) => {
    const state = one.swapped_back ? 'swapped back' : one.swapped ? 'swapped' : one.attempts ? `not yet, after ${plural(one.attempts, 'attempt')}` : 'not yet';
    say(card.querySelector('h3'), `Set ${one.set}: ${state}`);
    card.className = `set ${one.swapped ? 'good' : one.problem ? 'look' : ''}`;
    const locks = one.lock_hold_ms !== null ? `locks waited for ${ms(one.lock_wait_ms)}, held ${ms(one.lock_hold_ms)}` : '';
    const longest = one.longest_wait_ms !== null ? `longest wait of the application ${ms(one.longest_wait_ms)}` : '';
    tell(card.querySelector('p'), [one.swapped ? '' : held, one.problem, locks, longest].filter(Boolean).join(' · '));
  });
}

const ms = (value) => (value === null || value === undefined ? '?' : value < 1000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(1)} s`);

export function drawWorkers(workers, pools) {
  if (!workers) return;
  const alive = (pools || []).filter((pool) => pool.alive);
  // Processes are those that are connected to the database: Celery's own word of its workers may be late, or get lost.
  const processes = Math.max(0, ...workers.queues.map((queue) => queue.processes));
  say(byId('workers-sum'), [`${plural(processes, 'process', 'processes')} connected`, alive.length ? `${plural(alive.length, 'worker')} seen by Celery` : '', `${plural(workers.jobs.length, 'job')} running`,
    workers.sent ? `${plural(workers.sent, 'message')} not taken yet` : ''].filter(Boolean).join(', '));
  const { wanted } = workers;
  say(byId('wanted'), wanted ? `${plural(wanted.recommended, 'process', 'processes')} recommended: ${wanted.reason}` : '');
  keyed(byId('pools'), pools || [], (pool) => pool.name, () => h('p', { class: 'pool' }, h('span', { class: 'name' }), h('span', { class: 'soft' })), (line, pool) => {
    line.className = `pool ${pool.alive ? '' : 'gone'}`;
    say(line.querySelector('.name'), `${pool.alive ? '●' : '○'} ${pool.name}`);
    say(line.querySelector('.soft'), [pool.alive ? '' : 'not seen by Celery lately', pool.processes ? plural(pool.processes, 'process', 'processes') : '', pool.queues.map((queue) => queue.replace('replank.', '')).join(' ')].filter(Boolean).join(' · '));
  });
  keyed(byId('workers'), workers.jobs, (job) => job.job_id, () => h('p', { class: 'work' }, h('i', { class: 'cell running' }), h('span', { class: 'name' }), h('span', { class: 'soft' })), (line, job) => {
    say(line.querySelector('.name'), ` ${job.kind} ${job.table}${job.range ? ` ${job.range}` : ''}`);
    say(line.querySelector('.soft'), `${job.worker} · ${duration(job.seconds)}${job.attempt > 1 ? ` · attempt ${job.attempt}` : ''}`);
  });
}

export function drawEvents(events) {
  keyed(byId('events'), events, (event) => event.id, (event) => h('li', {},
    h('time', { datetime: event.at, title: event.at }, clock(event.at)), h('strong', {}, ` ${event.kind.replaceAll('_', ' ')} `), h('span', {}, event.subject ? `${event.subject} ` : ''),
    h('span', { class: 'soft' }, `${event.message ? `${event.message} · ` : ''}${event.actor}`)), () => {});
}
