// Tables with their heat maps. A cell bears the worst state of its jobs; how full it is says how many are done.

import { byId, h, keyed, number, plural, say, show, tell } from './dom.js';
import { chunksOfRun, openCell, point, pointAway } from './chunks.js';

// After the first and last job of a cell.
const COUNTS = ['jobs', 'done', 'running', 'failed', 'skipped', 'again', 'split', 'retried'];
const LEGEND = { waiting: 'waiting', running: 'running', done: 'done', retried: 'done after a retry', again: 'waits for a retry',
  split: 'split into smaller ones', failed: 'failed', skipped: 'skipped' };
const DONE = new Set(['done', 'restored']);
const OPEN_AT_MOST = 12;

const opened = new Map();
let drawn = new Set();

export function drawLegend() {
  byId('legend').append(...Object.entries(LEGEND).map(([state, words]) => h('span', {}, h('i', { class: `cell ${state}` }), ` ${words}`)));
}

export function drawTables(sections, changed) {
  const { run } = sections;
  if (!run) return;
  chunksOfRun(run.run_id);
  const tables = (sections.tables || []).map((table) => ({ ...table, object: `table:${table.no}` }));
  const caches = (sections.caches || []).map((cache) => ({ ...cache, object: `cache:${cache.no}`, rows: [cache.rows, cache.rows],
    share: cache.jobs_total ? cache.jobs_done / cache.jobs_total : 0, why: cache.kind, quarantined: 0, failed: 0 }));
  const all = [...tables, ...caches].map((one) => ({ ...one, bands: sections[`cells:${one.object}`] || [] }));
  all.sort((a, b) => rank(a) - rank(b));
  const done = all.filter((one) => DONE.has(one.state)).length;
  say(byId('tables-sum'), all.length ? `${number(done)} of ${number(all.length)} done` : 'not planned yet');
  show(byId('legend'), all.length > 0);
  const active = new Set(all.filter((one) => rank(one) < 2).slice(0, OPEN_AT_MOST).map((one) => one.object));
  const fresh = new Set(changed.map((name) => name.slice('cells:'.length)));
  keyed(byId('tables'), all, (one) => one.object, make, (box, one) => {
    const open = opened.has(one.object) ? opened.get(one.object) : active.has(one.object) || all.length <= OPEN_AT_MOST;
    if (box.open !== open) { box.dataset.ours = '1'; box.open = open; }
    head(box, one);
    if (open && (fresh.has(one.object) || !drawn.has(one.object))) bands(box, one);
    if (!open && fresh.has(one.object)) drawn.delete(one.object);
  });
}

const worstOf = (one) => one.bands.some((band) => band.failed);
const rank = (one) => (worstOf(one) || one.problem ? 0 : DONE.has(one.state) ? 4 : one.state === 'planned' ? 3 : one.state === 'ready' || one.state === 'swapped' ? 2 : 1);

function make(one) {
  const box = h('details', { class: 'table', ontoggle: () => {
    if (box.dataset.ours) { delete box.dataset.ours; return; }
    opened.set(box.dataset.key, box.open);
    if (box.open && box.latest) bands(box, box.latest);
  } }, h('summary', {},
    h('span', { class: 'name' }), h('span', { class: 'state' }), h('progress', { max: 1 }), h('span', { class: 'rows soft' })),
  h('p', { class: 'problem' }), h('p', { class: 'quarantine' }), h('div', { class: 'bands' }), h('p', { class: 'why soft' }));
  return box;
}

function head(box, one) {
  box.latest = one;
  say(box.querySelector('.name'), one.name);
  const state = box.querySelector('.state');
  say(state, one.state.replace('_', ' '));
  state.className = `state ${worstOf(one) ? 'bad' : DONE.has(one.state) ? 'good' : ''}`;
  box.querySelector('progress').value = one.share;
  box.querySelector('progress').setAttribute('aria-label', `${one.name} done`);
  say(box.querySelector('.rows'), one.object.startsWith('cache') ? `${number(one.jobs_done)} of ${number(one.jobs_total)} jobs` : `${number(one.rows[0])} of ${number(one.rows[1])} rows`);
  tell(box.querySelector('.problem'), one.problem || '');
  tell(box.querySelector('.quarantine'), one.quarantined ? `${plural(one.quarantined, 'row')} quarantined: \`replank quarantine list\`` : '');
  say(box.querySelector('.why'), one.why || '');
}

function bands(box, one) {
  drawn.add(one.object);
  keyed(box.querySelector('.bands'), one.bands, (band) => band.kind, () => h('div', { class: 'band' },
    h('button', { type: 'button', class: 'link' }), h('span', { class: 'soft' }), h('div', { class: 'cells', role: 'img' })), (row, band) => {
    const whole = { title: `${one.name}: ${band.kind}`, kind: band.kind, object: one.object, first: 0, last: Number.MAX_SAFE_INTEGER };
    row.className = band.cells.length <= 12 ? 'band small' : 'band';
    const label = row.querySelector('button');
    say(label, band.kind);
    label.onclick = () => openCell(whole);
    say(row.querySelector('span'), sums(band));
    const cells = row.querySelector('.cells');
    cells.setAttribute('aria-label', `${band.kind}: ${sums(band)}`);
    draw(cells, band.cells);
    cells.onpointerover = (event) => hover(event, one, band);
    cells.onpointerleave = pointAway;
    cells.onclick = (event) => {
      const cell = cellAt(event, one, band);
      pointAway();
      if (cell) openCell(cell);
    };
  });
}

const sums = (band) => [`${number(band.done)} of ${plural(band.jobs, 'job')} done`, ...['running', 'again', 'failed', 'skipped', 'split', 'retried']
  .filter((state) => band[state]).map((state) => `${number(band[state])} ${state === 'again' ? 'to retry' : state}`)].join(', ');

function draw(parent, cells) {
  while (parent.childElementCount > cells.length) parent.lastElementChild.remove();
  while (parent.childElementCount < cells.length) parent.append(h('i', {}));
  cells.forEach((cell, index) => {
    const element = parent.children[index];
    const state = cell[cell.length - 1];
    if (element.className !== `cell ${state}`) element.className = `cell ${state}`;
    const share = cell[3] / cell[2];
    if (element.share !== share) { element.share = share; element.style.setProperty('--done', share.toFixed(2)); }
  });
}

function cellAt(event, one, band) {
  if (!event.target.classList.contains('cell')) return null;
  const cell = band.cells[[...event.currentTarget.children].indexOf(event.target)];
  return cell && { title: `${one.name}: ${band.kind}`, kind: band.kind, object: one.object, first: cell[0], last: cell[1], counts: cell };
}

function hover(event, one, band) {
  // A finger has no hovering: it opens the list at once.
  if (event.pointerType === 'touch') return;
  const cell = cellAt(event, one, band);
  if (!cell) return;
  const counts = COUNTS.map((name, index) => [name, cell.counts[index + 2]]).filter(([, count]) => count);
  point(event.target, cell, counts.map(([name, count]) => (name === 'jobs' ? plural(count, 'job') : `${number(count)} ${name}`)).join(' · '));
}
