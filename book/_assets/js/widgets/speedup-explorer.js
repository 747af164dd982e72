/* Three sliders over lib's table of expected tokens and predicted speedups.
 *
 * Data (from the chapter): {acceptance_rates, draft_lengths, cost_ratios, expected_tokens[a][g], speedup[c][a][g], start: [a, g, c]}.
 * Every number shown is read from the table.
 */
(() => {
  const el = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  const slider = (id, label, values, start, show, onchange) => {
    const input = el("input", { type: "range", id, min: 0, max: values.length - 1, step: 1, value: start });
    const output = el("output", { htmlFor: id });
    const update = () => {
      output.textContent = show(values[input.value]);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => { update(); onchange(); });
    input.addEventListener("keydown", (event) => event.stopPropagation());
    update();
    return { input, row: el("div", { className: "explorer-slider" }, el("label", { htmlFor: id, textContent: label }), input, output) };
  };

  const build = (root, index) => {
    const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    const name = (part) => `explorer-${index}-${part}`;
    const [a0, g0, c0] = data.start;
    const draw = () => {
      const [a, g, c] = [rate, length, cost].map((part) => Number(part.input.value));
      const row = data.speedup[c][a];
      const best = row.indexOf(Math.max(...row));
      expected.textContent = data.expected_tokens[a][g].toFixed(2);
      speedup.textContent = `${row[g].toFixed(2)}×`;
      bestLength.textContent = row[best] > 1 ? `${data.draft_lengths[best]} (${row[best].toFixed(2)}×)` : "none: plain decoding is faster";
      const top = Math.max(...row, 1);
      bars.replaceChildren(...row.map((value, i) => {
        const bar = el("div", { className: `explorer-bar${i === g ? " is-chosen" : ""}${value < 1 ? " is-slower" : ""}` });
        bar.style.height = `${(100 * value) / top}%`;
        return el("div", { className: "explorer-column" }, el("div", { className: "explorer-well" }, bar),
          el("span", { textContent: data.draft_lengths[i] }));
      }));
    };
    const rate = slider(name("rate"), "Acceptance rate α", data.acceptance_rates, a0, (v) => v.toFixed(2), draw);
    const length = slider(name("length"), "Draft length γ", data.draft_lengths, g0, String, draw);
    const cost = slider(name("cost"), "Cost ratio c", data.cost_ratios, c0, (v) => v.toFixed(2), draw);
    const expected = el("output", { className: "explorer-expected" });
    const speedup = el("output", { className: "explorer-speedup" });
    const bestLength = el("output", { className: "explorer-best" });
    const bars = el("div", { className: "explorer-bars", ariaHidden: "true" });
    const fact = (label, value) => el("div", {}, el("span", { textContent: label }), value);
    const facts = el("div", { className: "stepper-counters" }, fact("Expected tokens a round", expected),
      fact("Predicted speedup", speedup), fact("Best draft length", bestLength));
    facts.setAttribute("aria-live", "polite");
    root.querySelector(".widget-static").replaceWith(
      el("div", { className: "widget-live" }, rate.row, length.row, cost.row, facts, bars,
        el("p", { className: "widget-help", textContent: "Bars: predicted speedup at each draft length. Hatched bars are below 1: speculation would slow decoding down." })));
    draw();
  };

  const start = () => document.querySelectorAll('[data-widget="speedup-explorer"]').forEach(build);
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
