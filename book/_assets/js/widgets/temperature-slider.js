/* Teacher and student over one temperature, and under each word the arrow of the student's gradient.
 *
 * Data (from the chapter): {temperatures, words, teacher[T][word], student[T][word], gradient[T][word], loss[T], entropy[T], start}, from lib's functions.
 */
(() => {
  const { svg, slider, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 640, BARS = 170, ARROWS = 90, LEFT = 12, RIGHT = 12;

  start("temperature-slider", (data, id, root) => {
    const text = (x, y, words, extra = {}) => svg("text", { x, y, "text-anchor": "middle", "font-size": 12, fill: "currentColor", ...extra }, words);
    const plot = (width) => {
      const at = which.value(), names = data.words, step = (width - LEFT - RIGHT) / names.length;
      const narrow = step < 58;
      const highest = Math.max(...data.teacher[at], ...data.student[at]);
      const steepest = Math.max(...data.gradient[at].map(Math.abs)) || 1;
      const base = 24 + BARS, middle = base + 24 + (narrow ? 58 : 0) + ARROWS / 2;
      const parts = [text(LEFT, 14, "probability", { "text-anchor": "start" }),
        svg("line", { x1: LEFT, x2: width - RIGHT, y1: base, y2: base, style: "stroke: currentColor; stroke-opacity: 0.5" })];
      names.forEach((name, i) => {
        const x = LEFT + i * step;
        const bar = (offset, value, role, kind) => svg("rect", { x: (x + step * offset).toFixed(1), y: (base - (value / highest) * BARS).toFixed(1), width: (step * 0.36).toFixed(1),
          height: ((value / highest) * BARS).toFixed(1), class: `temperature-bar is-${kind}`, style: `fill: var(--role-${role}); fill-opacity: 0.75` });
        parts.push(bar(0.1, data.teacher[at][i], "target", "teacher"), bar(0.5, data.student[at][i], "draft", "student"));
        const label = text(x + step / 2, base + 15, name);
        if (narrow) { label.setAttribute("transform", `rotate(-60 ${x + step / 2} ${base + 15})`); label.setAttribute("text-anchor", "end"); }
        parts.push(label);
        const push = (data.gradient[at][i] / steepest) * (ARROWS / 2 - 8), tip = middle + push, cx = x + step / 2;
        const role = push > 0 ? "rejected" : "accepted", head = Math.sign(push) * Math.min(6, Math.abs(push));
        parts.push(svg("line", { x1: cx, x2: cx, y1: middle, y2: tip - head * 0.6, style: `stroke: var(--role-${role}); stroke-width: 2.4` }),
          svg("polygon", { points: `${cx},${tip} ${cx - 4},${tip - head} ${cx + 4},${tip - head}`, class: "temperature-arrow", style: `fill: var(--role-${role})` }));
      });
      parts.push(svg("line", { x1: LEFT, x2: width - RIGHT, y1: middle, y2: middle, style: "stroke: currentColor; stroke-opacity: 0.35; stroke-dasharray: 3 3" }));
      return { height: middle + ARROWS / 2 + 4, parts };
    };
    const draw = () => {
      const at = which.value();
      outputs.loss.textContent = data.loss[at].toFixed(3);
      outputs.entropy.textContent = data.entropy[at].toFixed(2);
      outputs.steepest.textContent = Math.max(...data.gradient[at].map(Math.abs)).toFixed(3);
      picture.redraw();
    };
    const which = slider(`${id}-temperature`, "Temperature", data.temperatures, data.start, (value) => String(value), () => draw());
    const { box, outputs } = facts({ loss: "T² KL, nats", entropy: "teacher's entropy, nats", steepest: "longest arrow" });
    const picture = fitted(MOST, plot);
    draw();
    return [which.row, sweep(root, which, draw, 0.5), box, picture.frame,
      help("Blue: the teacher. Orange: the student. The arrows say where a step of descent moves each logit of the student: up (green) or down (red), the longest drawn at full length. Arrow keys move the temperature, P plays.")];
  });
})();
