// The page asks once a second what has changed since it asked last, and draws only that.

import { onDone, steerRun } from './act.js';
import { byId, clock, duration, say, show } from './dom.js';
import { drawHeadlines, drawFacts, drawSteering } from './head.js';
import { drawAside } from './aside.js';
import { openJob } from './chunks.js';
import { drawCauses } from './causes.js';
import { drawTables, drawLegend } from './tables.js';
import { drawEvents, drawPhases, drawSets, drawWorkers } from './lists.js';
import { drawSpeed, drawWindow } from './pictures.js';

const EVERY_MS = 1000;
const HIDDEN_MS = 15000;
const LOST_MS = 3000;
const ANSWER_MS = 10000;

const seen = { epoch: '', look: 0, readAt: null, heardAt: 0 };
const sections = {};
let timer = 0;
let asking = false;

const DRAW = {
  headlines: () => drawHeadlines(sections.headlines || []),
  run: () => { drawRun(sections.run); },
  causes: () => drawCauses(sections.causes || []),
  tables: () => drawAside(sections.tables || []),
  phases: () => drawPhases(sections.phases || []),
  sets: () => drawSets(sections.sets || [], sections.run),
  speed: () => drawSpeed(sections.speed, sections.run),
  window: () => drawWindow(sections.window || [], sections.run),
  workers: () => drawWorkers(sections.workers, sections.pools),
  pools: () => drawWorkers(sections.workers, sections.pools),
  restraints: () => drawSteering(sections.run, sections.restraints || []),
  events: () => drawEvents(sections.events || []),
};

async function ask() {
  if (asking) return;
  asking = true;
  let wait = EVERY_MS;
  try {
    const answer = await fetch(`run/now?epoch=${seen.epoch}&since=${seen.look}`, { credentials: 'same-origin', signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.status === 401) throw new Error('You are not logged in any more: load the page again.');
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    hear(await answer.json());
  } catch (error) {
    wait = LOST_MS;
    trouble(error instanceof TypeError || error.name === 'TimeoutError' ? 'This page\'s server does not answer.' : error.message);
  } finally {
    asking = false;
    clearTimeout(timer);
    timer = setTimeout(ask, document.hidden ? HIDDEN_MS : wait);
  }
}

function hear(news) {
  if (news.epoch !== seen.epoch) for (const name of Object.keys(sections)) delete sections[name];
  Object.assign(seen, { epoch: news.epoch, look: news.look, readAt: news.read_at, heardAt: Date.now() });
  Object.assign(sections, news.sections);
  const changed = Object.keys(news.sections);
  if (changed.includes('run')) show(byId('rest'), Boolean(sections.run));
  for (const name of changed) if (DRAW[name]) DRAW[name]();
  const cells = changed.filter((name) => name.startsWith('cells:'));
  if (cells.length || changed.includes('tables') || changed.includes('caches')) drawTables(sections, cells);
  if (sections.run === null) drawHeadlines([{ weight: 'look', words: 'There is no run on this database',
    why: 'As soon as one begins, it is shown here.', button: '', command: 'replank run PLAN' }]);
  if (news.problem) trouble(news.problem);
  else {
    show(byId('problem'), false);
    byId('pulse').className = 'live';
    say(byId('pulse'), 'live');
  }
}

function drawRun(run) {
  if (!run) {
    say(byId('which'), '');
    return;
  }
  steerRun(run.run_id);
  say(byId('which'), `run ${run.run_id}, plan ${run.plan}`);
  document.title = `${run.jobs.failed ? '! ' : ''}${Math.floor(100 * run.share)} % ${run.state.replace('_', ' ')}, run ${run.run_id}`;
  drawFacts(run, sections);
  drawSteering(run, sections.restraints || []);
  drawSets(sections.sets || [], run);
}

// Whatever is wrong is said; what was seen last stays in sight, with its time.
function trouble(words) {
  const since = seen.readAt ? ` What you see is of ${clock(seen.readAt)}, ${duration((Date.now() - new Date(seen.readAt)) / 1000)} ago.` : '';
  say(byId('problem'), words + since);
  show(byId('problem'), true);
  byId('pulse').className = 'lost';
  say(byId('pulse'), 'not live');
}

onDone(ask);
document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
drawLegend();
ask();
// A link from Flower's messages names a job.
const asked = new URLSearchParams(location.search).get('job');
if (asked) openJob(asked);
