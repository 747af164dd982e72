/* Three sliders over lib's table of expected tokens and predicted speedups.
 *
 * Data (from the chapter): {acceptance_rates, draft_lengths, cost_ratios, expected_tokens[a][g], speedup[c][a][g], start: [a, g, c]}.
 * Every number shown is read from the table.
 */
(() => {
  const { el, slider, facts, help, start } = window.CourseWidgets;

  start("speedup-explorer", (data, id) => {
    const [a0, g0, c0] = data.start;
    const draw = () => {
      const [a, g, c] = [rate, length, cost].map((part) => part.value());
      const row = data.speedup[c][a];
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
    const cost = slider(`${id}-cost`, "Cost ratio c", data.cost_ratios, c0, (v) => v.toFixed(2), () => draw());
    const { box, outputs } = facts({ expected: "Expected tokens a round", speedup: "Predicted speedup", best: "Best draft length" });
    const bars = el("div", { className: "explorer-bars", ariaHidden: "true" });
    draw();
    return [rate.row, length.row, cost.row, box, bars,
      help("Bars: predicted speedup at each draft length. Hatched bars are below 1: speculation would slow decoding down.")];
  });
})();
