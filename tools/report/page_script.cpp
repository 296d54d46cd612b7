// The script of the page: what is under the pointer, and runs shown or hidden by their legend. Without it the page lacks
// nothing else. Texts from run folders only ever become text nodes.
#include "tools/report/page.h"

namespace starling::tools {

const char* const kPageScript = R"js(
const tip = document.getElementById('tip');
function show(event, rows) {
  tip.replaceChildren(...rows.map(([text, mark]) => {
    const row = document.createElement('div');
    if (mark) row.append(mark);
    row.append(text);
    return row;
  }));
  tip.style.display = 'block';
  const box = tip.getBoundingClientRect();
  const right = event.clientX + 16 + box.width > innerWidth ? event.clientX - 16 - box.width : event.clientX + 16;
  tip.style.left = Math.max(4, right) + 'px';
  tip.style.top = Math.max(4, Math.min(event.clientY + 12, innerHeight - box.height - 4)) + 'px';
}
function hide() { tip.style.display = 'none'; }
function markOf(path) {
  const mark = document.querySelector('.mark').cloneNode(true);
  mark.firstElementChild.setAttribute('class', path.parentNode.getAttribute('class'));
  return mark;
}
function withUnit(text, unit) { return unit ? text + ' ' + unit : text; }
for (const svg of document.querySelectorAll('svg.lines')) {
  const at = svg.dataset, cross = svg.querySelector('.cross');
  const curves = [...svg.querySelectorAll('path.curve')].map(path => ({ path, x: path.dataset.x.split(','), y: path.dataset.y.split(',') }));
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const px = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    const wanted = (px - at.left) / (at.right - at.left) * at.high;
    const nearest = curves.filter(c => !c.path.parentNode.classList.contains('off')).map(c => {
      let best = 0;
      for (let i = 1; i < c.x.length; i++) if (Math.abs(c.x[i] - wanted) < Math.abs(c.x[best] - wanted)) best = i;
      return { path: c.path, x: c.x[best], y: c.y[best] };
    });
    if (nearest.length === 0) return;
    const first = nearest.reduce((a, b) => Math.abs(b.x - wanted) < Math.abs(a.x - wanted) ? b : a);
    const place = +at.left + first.x / at.high * (at.right - at.left);
    cross.setAttribute('x1', place);
    cross.setAttribute('x2', place);
    cross.style.visibility = 'visible';
    const head = x => withUnit((at.name ? at.name + ' ' : '') + x, at.xunit);
    const rows = nearest.map(p => [p.path.dataset.label + ': ' + withUnit(p.y, at.yunit) + (p.x === first.x ? '' : ' at ' + head(p.x)), markOf(p.path)]);
    show(event, [[head(first.x), null], ...rows]);
  });
  svg.addEventListener('pointerleave', () => { hide(); cross.style.visibility = 'hidden'; });
}
for (const part of document.querySelectorAll('[data-t]')) {
  part.addEventListener('pointermove', event => show(event, [[part.dataset.t, null]]));
  part.addEventListener('pointerleave', hide);
}
for (const button of document.querySelectorAll('.legend button')) button.addEventListener('click', () => {
  const off = button.classList.toggle('off');
  for (const part of document.querySelectorAll('.run.r' + button.dataset.run)) part.classList.toggle('off', off);
});
)js";

}  // namespace starling::tools
