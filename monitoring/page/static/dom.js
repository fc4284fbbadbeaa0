// Building the page: text stays text. Nothing here, or in any other module, makes markup out of a string.

const SVG = 'http://www.w3.org/2000/svg';

// An element with attributes, event handlers (`onclick`) and children; what is null or false is left out.
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Text only where it is another one, so that a selection or a screen reader is not disturbed.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The same for sentences that name `commands`: these become code.
export function tell(element, text) {
  if (element.said === text) return;
  element.said = text;
  element.replaceChildren(...text.split('`').map((part, index) => (index % 2 ? h('code', {}, part) : part)).filter((part) => part !== ''));
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

// One child for each item, in their order. A child lives as long as its key is there: a button that is being
// pressed is not taken away under the finger.
export function keyed(parent, items, key, make, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = before.get(name);
    if (child) before.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const gone of before.values()) gone.remove();
}

export const number = (value) => Math.round(value).toLocaleString('en');

// 45 s, 3 min 20 s, 2 h 5 min: as `replank status` says it.
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export const percent = (share) => `${Math.floor(100 * share + 1e-6)} %`;

export const clock = (moment) => (moment ? new Date(moment).toLocaleTimeString('en-GB') : '');

// With the day, where it is not today.
export function moment(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? clock(text) : `${at.toLocaleDateString('en-CA')} ${clock(text)}`;
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
