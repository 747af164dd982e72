/* Masks and multipliers in time: ascent of the multipliers, and descent by mistake beside it.
 *
 * Data (from the chapter): {steps, target, runs: [{name, sparsity[step], first[step], second[step], loss[step]}], start}, all from lib's functions.
 */
(() => {
  const { svg, slider, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 620, HEIGHT = 150, LEFT = 46, RIGHT = 12, TOP = 22, BOTTOM = 26, COLORS = ["var(--role-accepted)", "var(--role-rejected)"];

  start("min-max", (data, id, root) => {
    const text = (x, y, words, anchor = "start") => svg("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "currentColor" }, words);
    const panel = (top, width, title, series, marks) => {
      const values = [...series.flat(), ...marks];
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const px = (i) => LEFT + (i / (data.steps.length - 1)) * (width - LEFT - RIGHT);
      const py = (value) => top + HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
      const now = px(which.value());
      const lines = series.map((line, run) => svg("polyline", { points: line.slice(0, which.value() + 1).map((value, i) => `${px(i).toFixed(1)},${py(value).toFixed(1)}`).join(" "),
        class: "min-max-line", style: `fill: none; stroke: ${COLORS[run]}; stroke-width: 2.2${run ? "; stroke-dasharray: 6 3" : ""}` }));
      const rules = marks.map((mark) => svg("line", { x1: LEFT, x2: width - RIGHT, y1: py(mark), y2: py(mark), style: "stroke: currentColor; stroke-opacity: 0.5; stroke-dasharray: 2 3" }));
      return [text(LEFT, top + 12, title), text(LEFT - 6, py(high) + 4, high.toFixed(2), "end"), text(LEFT - 6, py(low) + 4, low.toFixed(2), "end"),
        ...rules, ...lines, svg("line", { x1: now, x2: now, y1: top + TOP - 4, y2: top + HEIGHT - BOTTOM, style: "stroke: currentColor; stroke-opacity: 0.35" })];
    };
    const plot = (width) => {
      const each = (name) => data.runs.map((run) => run[name]);
      return { height: 3 * HEIGHT, parts: [
        ...panel(0, width, "expected sparsity, and its target", each("sparsity"), [data.target]),
        ...panel(HEIGHT, width, "first multiplier", each("first"), [0]),
        ...panel(2 * HEIGHT, width, "loss of the layer", each("loss"), [0])] };
    };
    const draw = () => {
      const at = which.value();
      data.runs.forEach((run, i) => {
        outputs[`s${i}`].textContent = run.sparsity[at].toFixed(3);
        outputs[`l${i}`].textContent = `${run.first[at].toFixed(2)}, ${run.second[at].toFixed(2)}`.replaceAll("-", "−");
      });
      picture.redraw();
    };
    const which = slider(`${id}-step`, "Step", data.steps, data.start, String, () => draw());
    const entries = data.runs.flatMap((run, i) => [[`s${i}`, `${run.name}: sparsity`], [`l${i}`, `${run.name}: multipliers`]]);
    const { box, outputs } = facts(Object.fromEntries(entries));
    const picture = fitted(MOST, plot);
    draw();
    return [which.row, sweep(root, which, draw, 0.12), box, picture.frame,
      help("Full line: the multipliers ascend. Dashed: they descend, by mistake. Arrow keys move the step, P plays.")];
  });
})();
