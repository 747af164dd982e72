/* Walks through an online softmax tile by tile.
 *
 * Data (from the chapter): {scores, values, widths, start, walks}; walks[w] holds a record {start, stop, m, l, a, shrink, out, lse} for each tile
 * of widths[w] keys, all from lib's absorb and finish. Nothing is computed here but which record to show.
 */
(() => {
  const el = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  const number = (value) => value.toFixed(3).replace("-", "−");
  const keys = (tile) => (tile.stop - tile.start === 1 ? `key ${tile.stop}` : `keys ${tile.start + 1} to ${tile.stop}`);

  /* What happened at step n: 0 is before the first tile. */
  const sentence = (tiles, step) => {
    if (step === 0) return "Nothing has been seen: m = −∞, l = 0, a = 0.";
    const tile = tiles[step - 1];
    const rose = step === 1 ? "The first tile sets m"
      : tile.shrink < 1 ? `The maximum rises, so l and a are first multiplied by ${number(tile.shrink)}`
      : "The maximum stays, so l and a are only added to";
    return `Tile ${step} of ${tiles.length}, ${keys(tile)}. ${rose}. Now m = ${number(tile.m)}, l = ${number(tile.l)}, a = ${number(tile.a)}.`;
  };

  const build = (root, index) => {
    const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    const name = `online-softmax-${index}-width`;
    let step = 0;
    const slider = el("input", { type: "range", id: name, min: 0, max: data.widths.length - 1, step: 1, value: data.start });
    const width = el("output", { htmlFor: name });
    const say = el("p", { className: "stepper-say" });
    say.setAttribute("aria-live", "polite");
    const tape = el("ol", { className: "softmax-tape", ariaLabel: "Scores of the keys" });
    const fields = Object.fromEntries(["m", "factor", "l", "a", "out", "lse"].map((field) => [field, el("output", { className: `softmax-${field}` })]));
    const fact = (label, field) => el("div", {}, el("span", { textContent: label }), fields[field]);
    const walk = () => data.walks[slider.value];
    const go = (target) => {
      step = Math.max(0, Math.min(walk().length, target));
      draw();
    };
    const buttons = {};
    const controls = el("div", { className: "stepper-controls" });
    const moves = { start: ["Start", () => go(0)], back: ["← Back", () => go(step - 1)], next: ["Next tile →", () => go(step + 1)], end: ["End", () => go(Infinity)] };
    Object.entries(moves).forEach(([key, [label, action]]) => {
      buttons[key] = el("button", { type: "button", textContent: label, className: `stepper-button-${key}`, onclick: action });
      controls.append(buttons[key]);
    });

    const drawTape = (tiles) => {
      const now = step ? tiles[step - 1] : { start: -1, stop: -1 };
      tape.replaceChildren(...data.scores.map((score, i) => {
        const state = i >= now.start && i < now.stop ? "is-now" : i < now.start ? "is-seen" : "is-waiting";
        const edge = tiles.some((tile) => tile.start === i) ? " is-edge" : "";
        const label = { "is-now": "in fast memory", "is-seen": "seen", "is-waiting": "to come" }[state];
        const cell = el("li", { className: `${state}${edge}` }, el("span", { textContent: score.toFixed(1).replace("-", "−") }));
        cell.append(el("small", { textContent: label }));
        return cell;
      }));
    };

    function draw() {
      const tiles = walk();
      const tile = step ? tiles[step - 1] : null;
      width.textContent = data.widths[slider.value];
      slider.setAttribute("aria-valuetext", `${width.textContent} keys a tile`);
      drawTape(tiles);
      say.textContent = sentence(tiles, step);
      fields.m.textContent = tile ? number(tile.m) : "−∞";
      fields.factor.textContent = step > 1 ? number(tile.shrink) : "–";
      fields.l.textContent = tile ? number(tile.l) : number(0);
      fields.a.textContent = tile ? number(tile.a) : number(0);
      fields.out.textContent = tile ? number(tile.out) : "–";
      fields.lse.textContent = tile ? number(tile.lse) : "−∞";
      buttons.start.disabled = buttons.back.disabled = step === 0;
      buttons.next.disabled = buttons.end.disabled = step === tiles.length;
    }

    slider.addEventListener("input", () => go(0));
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    root.addEventListener("keydown", (event) => {
      const action = { ArrowRight: () => go(step + 1), ArrowLeft: () => go(step - 1), Home: () => go(0), End: () => go(Infinity) }[event.key];
      if (!action) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    });
    const row = el("div", { className: "explorer-slider" }, el("label", { htmlFor: name, textContent: "Keys in a tile" }), slider, width);
    const facts = el("div", { className: "stepper-counters" }, fact("m, highest score", "m"), fact("factor for old sums", "factor"), fact("l, sum of weights", "l"),
      fact("a, weighted values", "a"), fact("output a / l so far", "out"), fact("log-sum-exp so far", "lse"));
    root.querySelector(".widget-static").replaceWith(
      el("div", { className: "widget-live" }, row, controls, say, tape, facts,
        el("p", { className: "widget-help", textContent: "Keys, once a button has the focus: ← and → move by a tile, Home and End jump. On the slider they change the tile." })));
    draw();
  };

  const start = () => document.querySelectorAll('[data-widget="online-softmax"]').forEach(build);
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
