// The page asks once a second what has changed since it asked last, and draws only that.

import { onDone, steerRun } from './act.js';
import { byId, duration, percent, say, show } from './dom.js';
import { drawFacts, drawHeadlines, drawLogins, drawRestraints, drawSteering, drawTrouble } from './head.js';
import { drawQuarantine } from './quarantine.js';
import { openJob } from './chunks.js';
import { drawCauses } from './causes.js';
import { drawTables, drawLegend } from './tables.js';
import { drawEvents, drawPhases, drawSets, drawWorkers } from './lists.js';
import { drawSpeed, drawWindow } from './pictures.js';

const EVERY_MS = 1000;
const HIDDEN_MS = 15000;
const LOST_MS = 3000;
const ANSWER_MS = 10000;
const LATE_S = 20;

const seen = { epoch: '', look: 0, age: null, heardAt: 0, problem: '' };
const sections = {};
let timer = 0;
let asking = false;
let over = false;

const DRAW = {
  headlines: () => drawHeadlines(sections.headlines || []),
  run: () => { drawRun(sections.run); },
  causes: () => drawCauses(sections.causes || []),
  tables: () => { drawQuarantine(sections.tables || []); drawRun(sections.run); },
  phases: () => drawPhases(sections.phases || []),
  sets: () => drawSets(sections.sets || [], sections.run),
  speed: () => drawSpeed(sections.speed, sections.run),
  window: () => drawWindow(sections.window || [], sections.run),
  workers: () => drawWorkers(sections.workers, sections.pools),
  pools: () => drawWorkers(sections.workers, sections.pools),
  seen: () => { drawRun(sections.run); drawLogins(sections.seen || {}); },
  place: () => drawPlace(sections.place),
  restraints: () => drawRestraints(sections.restraints || []),
  events: () => drawEvents(sections.events || []),
};

async function ask() {
  if (asking) return;
  asking = true;
  let wait = EVERY_MS;
  try {
    const answer = await fetch(`run/now?epoch=${seen.epoch}&since=${seen.look}`, { credentials: 'same-origin', signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.status === 401) {
      // Asking on would count as guessing.
      over = true;
      throw new Error('You are no longer logged in. Reload the page.');
    }
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    hear(await answer.json());
  } catch (error) {
    wait = LOST_MS;
    trouble(error instanceof TypeError || error.name === 'TimeoutError' ? 'The server of this page does not answer' : error.message);
  } finally {
    asking = false;
    clearTimeout(timer);
    if (!over) timer = setTimeout(ask, document.hidden ? HIDDEN_MS : wait);
  }
}

function hear(news) {
  if (news.epoch !== seen.epoch) for (const name of Object.keys(sections)) delete sections[name];
  Object.assign(seen, { epoch: news.epoch, look: news.look, age: news.age_s, heardAt: Date.now() });
  Object.assign(sections, news.sections);
  const changed = Object.keys(news.sections);
  if (changed.includes('run')) show(byId('rest'), Boolean(sections.run));
  for (const name of changed) if (DRAW[name]) DRAW[name]();
  const cells = changed.filter((name) => name.startsWith('cells:'));
  if (cells.length || changed.includes('tables') || changed.includes('caches')) drawTables(sections, cells);
  if (sections.run === null) drawHeadlines([{ weight: 'look', words: 'There is no run on this database',
    why: 'A new run is shown here as soon as it begins.', kind: 'none', button: '', command: 'replank run PLAN' }]);
  seen.problem = news.problem;
  drawAges();
}

function drawRun(run) {
  if (!run) {
    say(byId('which'), '');
    return;
  }
  steerRun(run.run_id);
  say(byId('which'), `run ${run.run_id}, plan ${run.plan}`);
  drawTitle();
  drawFacts(run, sections);
  drawSteering(run);
  drawSets(sections.sets || [], run);
}

// The database's name stands in the bar, in every question, and in the tab.
function drawPlace(place) {
  if (!place) return;
  byId('place').title = `Database ${place.database} on ${place.host}`;
  say(byId('place'), `${place.database} on ${place.host}`);
}

function drawTitle() {
  const { run, place, headlines } = sections;
  if (!run) return;
  const bad = seen.problem || (headlines || []).some((one) => one.weight === 'bad');
  document.title = `${bad ? '! ' : ''}${percent(run.share)} ${run.state.replace('_', ' ')}, ${place ? place.database : ''} run ${run.run_id}`;
}

// How old the newest look is, by the server's clock and ours since we heard of it.
const ageNow = () => (seen.age === null ? null : seen.age + (Date.now() - seen.heardAt) / 1000);

// A problem is shown; the last data stays in sight with its age.
function trouble(words) {
  seen.problem = words;
  drawAges();
}

function drawAges() {
  const age = ageNow();
  const lost = seen.problem !== '' || (age !== null && age > LATE_S);
  byId('pulse').className = lost ? 'lost' : 'live';
  say(byId('pulse'), lost ? 'not live' : 'live');
  say(byId('age'), age === null ? '' : `, seen ${duration(age)} ago`);
  drawTrouble(seen.problem || (lost ? 'The page has no recent data' : ''), age);
  const figures = sections.figures ? sections.figures.age_s + (age || 0) : 0;
  say(byId('figures'), sections.run && figures >= 2 ? `Tables, rows and cells are from ${duration(figures)} ago.` : '');
  drawTitle();
}

onDone(ask);
document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
drawLegend();
setInterval(drawAges, 1000);
ask();
// A link from Flower's messages names a job.
const asked = new URLSearchParams(location.search).get('job');
if (asked) openJob(asked);
