/**
 * What shows the values under a pointer, or under a cursor that arrow keys move.
 *
 * @module
 */
import { BOX } from "./frame.ts";

/** The script; it reads the values from the element `values` of the page. */
export const HOVER_SCRIPT: string = `
const all = JSON.parse(document.getElementById("values").textContent);
const figure = (value) => {
  if (!Number.isInteger(value)) value = Number(value.toPrecision(4));
  return value.toLocaleString("en", { maximumSignificantDigits: 15 }).replaceAll(",", "\\u202f");
};
const lineText = ({ name, unit, values, min, max }, i) => {
  const range = min && min[i] !== max[i] ? " (" + figure(min[i]) + "\\u2013" + figure(max[i]) + ")" : "";
  return name + ": " + figure(values[i]) + unit + range;
};
for (const svg of document.querySelectorAll("svg[data-plot]")) {
  const plot = all[svg.dataset.plot];
  const cursor = svg.querySelector(".cursor");
  const tip = document.createElement("div");
  const count = plot.edges.length - 1;
  const width = svg.viewBox.baseVal.width;
  let column = -1;
  let row = 0;
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  svg.parentElement.append(tip);
  const show = () => {
    const x = Math.min(plot.left + (column + 0.5) * plot.step, ${BOX.right});
    const lines = plot.rows ? [plot.lines[row]] : plot.lines;
    const head = figure(plot.edges[column]) + "\\u2013" + figure(plot.edges[column + 1]) + " " + plot.unit;
    tip.textContent = [head, ...lines.map((line) => lineText(line, column))].join("\\n");
    tip.hidden = false;
    cursor.setAttribute("transform", "translate(" + x + ")");
    cursor.setAttribute("visibility", "visible");
    const box = svg.getBoundingClientRect();
    const left = box.left - svg.parentElement.getBoundingClientRect().left + x / width * box.width;
    const isRight = x > width / 2;
    tip.style.top = box.top - svg.parentElement.getBoundingClientRect().top + 8 + "px";
    tip.style.left = isRight ? "auto" : left + 8 + "px";
    tip.style.right = isRight ? svg.parentElement.clientWidth - left + 8 + "px" : "auto";
  };
  const hide = () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = width / box.width;
    const at = ((event.clientX - box.left) * scale - plot.left) / plot.step;
    if (at < 0 || at >= count + 1) return hide();
    column = Math.min(count - 1, Math.floor(at));
    if (plot.rows) {
      row = Math.floor(((event.clientY - box.top) * scale - plot.rows.top) / plot.rows.height);
      if (row < 0 || row >= plot.lines.length) return hide();
    }
    show();
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const [across, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (across === undefined || (down !== 0 && !plot.rows)) return;
    event.preventDefault();
    column = Math.max(0, Math.min(count - 1, column + across));
    row = Math.max(0, Math.min(plot.lines.length - 1, row + down));
    show();
  });
}
`;
