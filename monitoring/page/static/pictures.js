// Two small pictures: rows a second over the last ten minutes, and the governor's window.

import { byId, clock, number, say, svg } from './dom.js';

const WIDE = 600;
const HIGH = 90;
const KINDS = ['copy', 'backfill', 'verify'];

function frame(...children) {
  return svg('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: 'none', role: 'img' }, svg('line', { class: 'grid', x1: 0, x2: WIDE, y1: HIGH - 0.5, y2: HIGH - 0.5 }), ...children);
}

export function drawSpeed(speed) {
  if (!speed) return;
  const kinds = KINDS.filter((kind) => speed.rows[kind]);
  const spans = kinds.length ? speed.rows[kinds[0]].length : 0;
  const sums = Array.from({ length: spans }, (_, index) => kinds.reduce((sum, kind) => sum + speed.rows[kind][index], 0));
  const most = Math.max(1, ...sums);
  const wide = WIDE / Math.max(spans, 1);
  const bars = [];
  for (let index = 0; index < spans; index += 1) {
    let below = 0;
    for (const kind of kinds) {
      const high = (HIGH - 4) * speed.rows[kind][index] / most;
      if (high > 0) bars.push(svg('rect', { class: kind, x: index * wide + 0.5, width: wide - 1, y: HIGH - below - high, height: high }));
      below += high;
    }
  }
  byId('speed').replaceChildren(frame(...bars));
  say(byId('speed-words'), spans ? `The last ten minutes; at most ${number(most / speed.span_s)} rows/s (${kinds.join(', ')}).` : 'No rows in the last ten minutes.');
}

export function drawWindow(changes, run) {
  if (!run) return;
  const most = Math.max(1, ...changes.map((change) => Math.max(change[1], change[2])));
  const from = changes.length ? new Date(changes[0][0]).getTime() : 0;
  const to = changes.length ? Math.max(Date.now(), new Date(changes[changes.length - 1][0]).getTime() + 1000) : 1;
  const x = (moment) => WIDE * (new Date(moment).getTime() - from) / (to - from);
  const y = (size) => HIGH - 1 - (HIGH - 6) * size / most;
  let path = '';
  changes.forEach((change, index) => { path += index ? `H${x(change[0]).toFixed(1)}V${y(change[1]).toFixed(1)}` : `M0 ${y(change[1]).toFixed(1)}`; });
  const marks = changes.map((change) => svg('circle', { class: change[1] === 0 ? 'zero' : 'mark', cx: x(change[0]).toFixed(1), cy: y(change[1]).toFixed(1), r: 3 },
    svg('title', {}, `${clock(change[0])}: ${change[1]} of ${change[2]}, ${change[3]}`)));
  byId('window').replaceChildren(frame(path ? svg('path', { class: 'line', d: `${path}H${WIDE}` }) : '', ...marks));
  const last = changes[changes.length - 1];
  say(byId('window-words'), last ? `Since ${clock(last[0])}: ${last[1]} of ${last[2]}, ${last[3]}. ${number(changes.length)} decisions since ${clock(changes[0][0])}.` : 'No decision yet.');
}
