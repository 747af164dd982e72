/* Sliders over lib's table of expected tokens and predicted speedups.
 *
 * Data (from the chapter): {acceptance_rates, draft_lengths, cost_ratios, verify_ratios, expected_tokens[a][g], speedup[v][c][a][g],
 * start: [a, g, c, v]}. Every number shown is read from the table.
 */
(() => {
  const { el, slider, facts, sweep, help, start } = window.CourseWidgets;

  start("speedup-explorer", (data, id, root) => {
    const [a0, g0, c0, v0] = data.start;
    const draw = () => {
      const [a, g, c, v] = [rate, length, cost, verify].map((part) => part.value());
      const row = data.speedup[v][c][a];
      const best = row.indexOf(Math.max(...row));
      outputs.expected.textContent = data.expected_tokens[a][g].toFixed(2);
      outputs.speedup.textContent = `${row[g].toFixed(2)}×`;
      outputs.best.textContent = row[best] > 1 ? `${data.draft_lengths[best]} (${row[best].toFixed(2)}×)` : "none: plain decoding is faster";
      const top = Math.max(...row, 1);
      bars.replaceChildren(...row.map((value, i) => {
        const bar = el("div", { className: `explorer-bar${i === g ? " is-chosen" : ""}${value < 1 ? " is-slower" : ""}` });
        bar.style.height = `${(100 * value) / top}%`;
        return el("div", { className: "explorer-column" }, el("div", { className: "explorer-well" }, bar),
          el("span", { textContent: data.draft_lengths[i] }));
      }));
    };
    const rate = slider(`${id}-rate`, "Acceptance rate α", data.acceptance_rates, a0, (v) => v.toFixed(2), () => draw());
    const length = slider(`${id}-length`, "Draft length γ", data.draft_lengths, g0, String, () => draw());
    const cost = slider(`${id}-cost`, "Draft step c", data.cost_ratios, c0, (v) => v.toFixed(2), () => draw());
    const verify = slider(`${id}-verify`, "Verification v", data.verify_ratios, v0, (v) => v.toFixed(2), () => draw());
    const { box, outputs } = facts({ expected: "Expected tokens per round", speedup: "Predicted speedup", best: "Best draft length" });
    const bars = el("div", { className: "explorer-bars", ariaHidden: "true" });
    draw();
    return [rate.row, length.row, cost.row, verify.row, sweep(root, length, draw), box, bars,
      help("Bars: predicted speedup at each draft length, from zero up. Hatched bars are below 1: speculation would slow decoding down. Costs are in plain passes of the target; P plays.")];
  });
})();
