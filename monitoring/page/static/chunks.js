// The jobs behind a cell: asked for when the pointer is over it, or when it is opened.

import { button } from './act.js';
import { byId, duration, h, number, plural, say, show, tell } from './dom.js';

// The server says why where even these may not be.
export const SKIPPED_KINDS = ['vacuum', 'validate', 'cache'];

export const SKIP = { title: 'Skip this for good?', yes: 'Skip it', danger: true,
  words: 'The run continues without it. The reason stays in the log and in the report.', field: { label: 'Reason', name: 'reason', required: true } };

let run = null;
let pointing = 0;

export function chunksOfRun(number) { run = number; }

// `cell`: {title, kind, object: "table:3" or "cache:1", first, last}
async function jobsOf(cell) {
  const [what, no] = cell.object.split(':');
  const query = new URLSearchParams({ run, kind: cell.kind, first: cell.first, last: cell.last, [what]: no });
  const answer = await fetch(`run/cell?${query}`, { credentials: 'same-origin' });
  if (!answer.ok) throw new Error((await answer.json()).problem);
  return (await answer.json()).jobs;
}

export async function openCell(cell) {
  const dialog = byId('chunks');
  say(byId('chunks-title'), cell.title);
  say(byId('chunks-sum'), 'loading …');
  byId('chunks-list').replaceChildren();
  if (!dialog.open) dialog.showModal();
  try {
    const jobs = await jobsOf(cell);
    const total = jobs.length ? jobs[0].total : 0;
    say(byId('chunks-sum'), total > jobs.length ? `${number(jobs.length)} of ${plural(total, 'job')}, failed ones first` : plural(total, 'job'));
    byId('chunks-list').replaceChildren(...jobs.map(card));
  } catch (error) {
    say(byId('chunks-sum'), error.message);
  }
}

function card(job) {
  const facts = [job.worker && `worker ${job.worker}`, job.attempt ? plural(job.attempt, 'attempt') : 'not tried yet',
    job.seconds !== null && duration10(job.seconds), `${number(job.rows)} rows`].filter(Boolean).join(' · ');
  return h('article', { class: `job ${stateOf(job)}` },
    h('p', {}, h('span', { class: `cell ${stateOf(job)}`, 'aria-hidden': 'true' }), ` job ${job.job_id}: `, h('strong', {}, stateOf(job)), job.range ? ` · ${job.range}` : '', detailOf(job), job.row_key ? ` · row ${Object.entries(job.row_key).map(([name, value]) => `${name} = ${value}`).join(', ')}` : ''),
    h('p', { class: 'soft' }, facts),
    job.message ? h('p', { class: 'message' }, `${job.error_class || ''}${job.sqlstate ? ` (${job.sqlstate})` : ''}: ${job.message}`) : null,
    h('p', { class: 'buttons' }, steering(job),
      messages(job.job_id, job.kind),
      h('button', { type: 'button', class: 'link explain', onclick: (event) => explain(job.job_id, event.target) }, 'Explain')));
}

const steering = (job) => (job.state !== 'failed' ? null : [
  button('Retry', 'retry', { fields: { jobs: [job.job_id] } }),
  button('Retry in smaller chunks', 'retry', { fields: { jobs: [job.job_id], smaller: true }, quiet: true }),
  SKIPPED_KINDS.includes(job.kind) && button('Skip …', 'skip', { fields: { jobs: [job.job_id] }, ask: SKIP, quiet: true })]);

// What Celery's monitor has heard of it: Flower's search takes several filters in one.
const messages = (number, kind) => h('a', { class: 'messages', href: `tasks?name=${encodeURIComponent(`replank.${kind} kwargs:job=${number}`)}` }, 'Its messages in Flower');

function next(words) {
  const line = h('p', { class: 'soft' });
  tell(line, `Next: ${words}`);
  return line;
}

// A job by its number, as a link names it.
export async function openJob(number) {
  const dialog = byId('chunks');
  say(byId('chunks-title'), `Job ${number}`);
  say(byId('chunks-sum'), 'loading …');
  byId('chunks-list').replaceChildren();
  if (!dialog.open) dialog.showModal();
  const answer = await explanation(number);
  say(byId('chunks-title'), answer.problem ? `Job ${number}` : `Job ${number}: ${[answer.kind, answer.table, answer.range].filter(Boolean).join(' ')}`);
  say(byId('chunks-sum'), answer.problem || `${answer.state}, ${answer.step}`);
  if (answer.problem) return;
  byId('chunks-list').replaceChildren(h('article', { class: `job ${answer.state}` },
    answer.message ? h('p', { class: 'message' }, `${answer.class}${answer.sqlstate ? ` (${answer.sqlstate})` : ''}: ${answer.message}`) : null,
    answer.suggestion ? next(answer.suggestion) : null,
    h('p', { class: 'buttons' }, steering({ ...answer, job_id: answer.job }), messages(answer.job, answer.kind)), explained(answer)));
}

const explanation = (number) => fetch(`run/job?job=${encodeURIComponent(number)}`, { credentials: 'same-origin' }).then((got) => got.json()).catch(() => ({ problem: 'The server does not answer.' }));

async function explain(number, pressed) {
  pressed.replaceWith(explained(await explanation(number)));
}

// Its attempts, its SQL and the server's plan.
function explained(answer) {
  const attempts = (answer.attempts || []).map((one) => h('li', {}, `job ${one.job}, attempt ${one.attempt}, ${one.worker || 'no worker'}: ${one.outcome}, ${one.class}${one.sqlstate ? ` (${one.sqlstate})` : ''}: ${one.message}`));
  const parts = answer.problem ? [h('p', {}, answer.problem)] : [
    h('h3', {}, attempts.length ? 'Attempts that failed or ended early' : 'No attempt has failed so far'), attempts.length ? h('ol', {}, attempts) : null,
    answer.sql.length ? h('h3', {}, 'SQL') : null, ...answer.sql.map((text) => h('pre', {}, text)),
    h('h3', {}, 'Plan'), h('pre', {}, answer.plan.length ? answer.plan.join('\n') : answer.why_no_plan)];
  return h('div', { class: 'explained' }, parts, (answer.worker_logs || []).map((log) => h('p', { class: 'soft' }, `The log of the local workers on ${log.host}: ${log.file}`)));
}

const stateOf = (job) => (job.state === 'leased' ? 'running' : job.state === 'waiting' && job.attempt ? 'again' : job.state);
const detailOf = (job) => (job.detail && (job.detail.name || job.detail.index) ? ` ${job.detail.name || job.detail.index}` : '');
const duration10 = (seconds) => (seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds));

// The tip beside a cell: its counts at once, the range and the rest when the pointer stays.
export function point(element, cell, words) {
  const tip = byId('tip');
  clearTimeout(pointing);
  tip.replaceChildren(h('p', {}, words));
  place(tip, element);
  pointing = setTimeout(async () => {
    try {
      const jobs = await jobsOf(cell);
      if (tip.hidden) return;
      tip.replaceChildren(h('p', {}, words), ...jobs.slice(0, 4).map(card));
      tip.querySelectorAll('.buttons').forEach((buttons) => buttons.remove());
      place(tip, element);
    } catch { /* The banner says that the server does not answer. */ }
  }, 120);
}

export function pointAway() {
  clearTimeout(pointing);
  show(byId('tip'), false);
}

function place(tip, element) {
  show(tip, true);
  const at = element.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - size.width - 4))}px`;
  tip.style.top = `${at.bottom + size.height + 6 < innerHeight ? at.bottom + 4 : Math.max(4, at.top - size.height - 4)}px`;
}
