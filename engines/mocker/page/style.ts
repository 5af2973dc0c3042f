/**
 * Looks of a page of plots, in light and dark.
 *
 * @module
 */
import { SHADES } from "./heat_plot.ts";

/** Colours of lines, light and dark, told apart also without red and green. */
const COLORS: readonly (readonly [string, string])[] = [
  ["#0067b1", "#5cb3ff"],
  ["#c25100", "#ff9f4a"],
  ["#00805a", "#3ddbaa"],
  ["#a1348a", "#f08ad8"],
  ["#8a6d00", "#e6c84a"],
  ["#4d5a6b", "#b7c3d4"],
];

/** Most lines of a plot. */
export const MOST_LINES: number = COLORS.length;

const variables = (dark: 0 | 1) => COLORS.map((pair, i) => `--c${i}:${pair[dark]}`).join(";");

/** How much of its colour a shade has. */
function shadeOpacity(shade: number): string {
  return (0.1 + 0.9 * (shade + 1) / SHADES).toFixed(2);
}

/** The style sheet. */
export const STYLE: string = `
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1c2430;--quiet:#56606e;--grid:#e3e7ec;--axis:#8d97a5;${
  variables(0)
}}
@media(prefers-color-scheme:dark){:root{--page:#10141a;--card:#181e27;--text:#e8edf4;--quiet:#9aa7b8;--grid:#2a323e;--axis:#66758a;${
  variables(1)
}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.45 system-ui,sans-serif}
main,header,footer{max-width:1240px;margin:0 auto;padding:0 16px}
h1{font-size:24px;margin:24px 0 4px;overflow-wrap:anywhere}h2{font-size:19px;margin:32px 0 12px}h3{font-size:16px;margin:0}
p{margin:4px 0;color:var(--quiet);overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;padding:0;margin:16px 0}
.cards div{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:10px 12px}
.cards dt{color:var(--quiet);font-size:13px}.cards dd{margin:0;font-size:20px;font-variant-numeric:tabular-nums}
.cards small{font-size:13px;color:var(--quiet)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:12px;min-width:0;position:relative;display:flex;flex-direction:column}
figcaption{flex:1}figcaption p{font-size:13px}
svg{display:block;width:100%;height:auto;overflow:visible;touch-action:pan-y}
svg:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
text{font:11px system-ui,sans-serif;fill:var(--quiet)}text.y{text-anchor:end}text.x{text-anchor:middle}text.name{fill:var(--text)}
path{fill:none}.grid{stroke:var(--grid)}.axis{stroke:var(--axis)}.cursor{stroke:var(--text);stroke-dasharray:3 3}
.line{stroke:var(--c);stroke-width:1.5}.band{fill:var(--c);fill-opacity:.17}.bars{fill:var(--c);fill-opacity:.75}
.mark{stroke:var(--c1);stroke-dasharray:4 2}text.mark{stroke:var(--card);stroke-width:3;stroke-dasharray:none;paint-order:stroke;fill:var(--text)}text.mark:not(.y){transform:translateX(4px)}text.mark.y{transform:translateX(-4px)}
.shade{stroke:var(--c0);shape-rendering:crispEdges}${
  Array.from({ length: SHADES }, (_, i) => `.h${i + 1}{stroke-opacity:${shadeOpacity(i)}}`)
    .join("")
}
${Array.from({ length: SHADES }, (_, i) => `li.h${i + 1}::before{opacity:${shadeOpacity(i)}}`).join("")}
${COLORS.map((_, i) => `.s${i}{--c:var(--c${i})}`).join("")}
[class^=h]{--c:var(--c0)}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;list-style:none;margin:2px 0 4px;padding:0;font-size:13px}
.legend li::before{content:"";display:inline-block;width:14px;height:4px;border-radius:2px;background:var(--c);margin-right:6px;vertical-align:middle}
.tip{position:absolute;pointer-events:none;background:var(--text);color:var(--page);border-radius:6px;padding:5px 8px;font-size:12.5px;line-height:1.35;white-space:pre;z-index:1;font-variant-numeric:tabular-nums}
details{margin-top:6px;font-size:13px}summary{cursor:pointer;color:var(--quiet)}
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--grid);border-radius:8px}
.wide+.wide{margin-top:16px}details .wide{margin-top:6px;max-height:320px;overflow:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13.5px}
caption{text-align:left;font-weight:600;padding:8px 12px}
th,td{padding:4px 12px;text-align:right;border-top:1px solid var(--grid);white-space:nowrap}
th:first-child{text-align:left;font-weight:400}thead th{color:var(--quiet);font-weight:400;vertical-align:bottom}
.pairs th,.pairs td{text-align:left}.pairs td{width:100%;white-space:pre-wrap;overflow-wrap:anywhere}.pairs th{vertical-align:top}
footer{padding-bottom:40px}
`;
