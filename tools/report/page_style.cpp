// The style of the page. Colours of runs are those of Okabe and Ito (2008), which colour-blind readers can tell apart,
// black in place of their yellow; lighter ones in the dark.
#include "tools/report/page.h"

namespace starling::tools {

const char* const kPageStyle = R"css(
:root { color-scheme: light dark; --ground: #f5f6f8; --panel: #ffffff; --text: #1b2330; --quiet: #5c6778; --line: #e1e5eb;
  --axis: #9aa4b2; --accent: #0072b2; --mild: #eaf3f9; --warn: #fff4dd; --warn-line: #e69f00; --used: #8fa3b8; --dropped: #e69f00;
  --refused: #b2182b; --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #e69f00; --c5: #56b4e9; --c6: #222a35; }
@media (prefers-color-scheme: dark) { :root { --ground: #11151b; --panel: #191f27; --text: #e4e8ee; --quiet: #96a1b1; --line: #2b333f;
  --axis: #5f6b7b; --accent: #58b0e8; --mild: #1d2b38; --warn: #332a16; --used: #6d8299; --dropped: #f0b23c; --refused: #f0566a;
  --c0: #4aa8e0; --c1: #ff8a4c; --c2: #2ec79a; --c3: #e8a0c8; --c4: #f3c04b; --c5: #a5dcff; --c6: #f4f6f9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 20px 40px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 20px 0 8px; }
header p { color: var(--quiet); margin: 4px 0 20px; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin: 16px 0; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
.remark { background: var(--warn); border-left: 3px solid var(--warn-line); border-radius: 4px; padding: 8px 12px; margin: 8px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); gap: 12px; }
.cards.runs { grid-template-columns: repeat(auto-fit, minmax(min(100%, 270px), 1fr)); }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; min-width: 0; overflow-wrap: anywhere; }
.card .name { color: var(--quiet); font-size: 13px; }
.cards.runs .name { color: var(--text); font-weight: 600; font-size: 14px; }
.card .value { font-size: 23px; font-weight: 600; line-height: 1.35; font-variant-numeric: tabular-nums; }
.card .detail { color: var(--quiet); font-size: 13px; min-height: 1.5em; }
.two, .three { display: grid; gap: 18px 24px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
.three { grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 14px; font-weight: 600; margin-bottom: 4px; overflow-wrap: anywhere; }
.note { color: var(--quiet); font-size: 13px; margin: 2px 0 0; }
svg.chart { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--quiet); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); } .axis { stroke: var(--axis); }
.cross { stroke: var(--axis); stroke-dasharray: 3 3; visibility: hidden; }
.curve { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; } .run circle { fill: var(--c); }
.d1 .curve { stroke-dasharray: 7 4; } .d2 .curve { stroke-dasharray: 2 3; } .run.off { display: none; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .c6 { --c: var(--c6); }
.mark { width: 22px; height: 10px; margin-right: 7px; vertical-align: baseline; } .mark .curve { stroke-width: 4; }
.used { fill: var(--used); background: var(--used); } .dropped { fill: var(--dropped); background: var(--dropped); }
.refused { fill: var(--refused); background: var(--refused); } .kept { fill: var(--text); }
.size { fill: var(--used); } .cell { fill: var(--accent); background: var(--accent); }
[data-t]:hover { filter: brightness(1.15); }
.keys { color: var(--quiet); font-size: 13px; margin: 0 0 12px; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin: 0 5px 0 14px; vertical-align: -1px; }
.keys > .key:first-child { margin-left: 0; }
.triangle { color: var(--text); font-size: 9px; margin: 0 5px 0 14px; vertical-align: 1px; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 0 0 12px; }
.facts dt { color: var(--quiet); font-size: 13px; } .facts dd { margin: 0; font-weight: 600; }
.of { margin: 0 0 8px; } .of .mark:not(:first-child) { margin-left: 18px; }
.tabs > input { position: absolute; opacity: 0; }
.tabs > label { display: inline-block; padding: 4px 14px; margin: 0 6px 12px 0; border: 1px solid var(--line); border-radius: 16px;
  cursor: pointer; font-size: 14px; color: var(--quiet); }
.tabs > input:checked + label { background: var(--accent); border-color: var(--accent); color: var(--panel); }
.tabs > input:focus-visible + label { outline: 2px solid var(--accent); outline-offset: 2px; }
.panel { display: none; }
#across0:checked ~ .panel0, #across1:checked ~ .panel1, #across2:checked ~ .panel2 { display: grid; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 12px; }
.legend button { font: inherit; font-size: 14px; color: inherit; background: none; border: 0; padding: 2px 0; cursor: pointer; }
.legend button.off { opacity: 0.35; }
.scroll { overflow-x: auto; margin-bottom: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, .settings th, .settings td { text-align: left; } th { font-weight: 500; } thead th { color: var(--quiet); font-size: 13px; }
thead tr + tr th:first-child { text-align: right; }
th.group { text-align: center; color: var(--text); } .group, .first { border-left: 1px solid var(--line); }
.settings { width: auto; } .settings td { white-space: normal; overflow-wrap: anywhere; max-width: 420px; } .none { color: var(--quiet); }
td.best { font-weight: 700; color: var(--accent); } tr.differs { background: var(--mild); }
summary { cursor: pointer; font-size: 18px; font-weight: 600; } details[open] summary { margin-bottom: 12px; }
footer { color: var(--quiet); font-size: 13px; margin-top: 20px; overflow-wrap: anywhere; }
#tip { position: fixed; display: none; pointer-events: none; z-index: 9; background: var(--panel); border: 1px solid var(--axis); border-radius: 6px;
  padding: 6px 10px; font-size: 13px; box-shadow: 0 3px 12px rgba(0, 0, 0, 0.18); max-width: 340px; font-variant-numeric: tabular-nums; }
@media print { body { background: none; } .panel { display: grid !important; margin-bottom: 12px; }
  .tabs > label, .legend button.off { display: none; } section { break-inside: avoid; } }
)css";

}  // namespace starling::tools
